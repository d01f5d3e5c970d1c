"""Loading a model: what it says of itself, and every file and device that is refused."""

from __future__ import annotations

import hashlib
import pickle
import sys

import pytest

from aiida_mlip_autopipe.common.errors import InstallationError, ModelError, NoGpuError
from aiida_mlip_autopipe.engines.mace.model import MaceModel, has_mace


def test_what_it_says_of_itself(double, model_file):
    assert set(double.elements) == {'Al', 'Mg'}
    assert double.cutoff == 5.0
    assert (double.device, double.dtype) == ('cpu', 'float64')
    assert double.sha256 == hashlib.sha256(model_file.read_bytes()).hexdigest()


def test_the_file_is_small(model_file):
    assert model_file.stat().st_size <= 500_000


@pytest.mark.parametrize('content', [b'', b'not a model', pickle.dumps({'a': 1})])
def test_a_file_that_is_no_model(model_file, tmp_path, content):
    path = tmp_path / 'wrong.model'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'^select\.model: wrong\.model is not a MACE model: '):
        MaceModel.load(path, device='cpu')


def test_a_truncated_model(model_file, tmp_path):
    path = tmp_path / 'cut.model'
    path.write_bytes(model_file.read_bytes()[:100_000])
    with pytest.raises(ModelError, match=r'^select\.model: cut\.model is not a MACE model: '):
        MaceModel.load(path, device='cpu')


def test_another_network(model_file, tmp_path):
    import torch  # noqa: PLC0415  # takes seconds, and may be missing

    path = tmp_path / 'linear.model'
    torch.save(torch.nn.Linear(2, 3), path)
    with pytest.raises(ModelError, match=r"it holds a Linear without \['atomic_numbers', 'r_max'"):
        MaceModel.load(path, device='cpu')


def test_a_missing_file(model_file, tmp_path):
    with pytest.raises(ModelError, match='there is no such file'):
        MaceModel.load(tmp_path / 'none.model', device='cpu')


def test_a_gpu_that_is_not_there(model_file, monkeypatch):
    import torch  # noqa: PLC0415  # takes seconds, and may be missing

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(NoGpuError, match=r"select.device: got 'cuda'; PyTorch .* sees no GPU on this machine: take auto or cpu"):
        MaceModel.load(model_file, device='cuda')
    assert MaceModel.load(model_file, device='auto').device == 'cpu'


def test_without_mace(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, 'mace', None)
    assert not has_mace()
    with pytest.raises(InstallationError, match=r"^select\.model: 'any\.model' needs mace-torch, which is not installed on this"):
        MaceModel.load(tmp_path / 'any.model')
