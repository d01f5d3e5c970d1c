"""The surrogate of a job: where its file comes from, and each reason why there is none."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from aiida_mlip_autopipe.common.errors import DownloadError, InstallationError, ModelError, NoGpuError
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.remote.surrogate_model import NO_MODEL, find_surrogate
from tests.mace_data import MODEL, needs_mace

CLOSED = 'http://127.0.0.1:9'
"""A proxy that refuses every connection: what a compute machine without internet looks like."""


def config(**values: Any) -> SelectionConfig:
    return SelectionConfig.model_validate({'device': 'cpu', **values})


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No connection, and nothing that was downloaded before."""
    for name in ('http_proxy', 'https_proxy'):
        monkeypatch.setenv(name, CLOSED)
        monkeypatch.setenv(name.upper(), CLOSED)
    monkeypatch.setenv('no_proxy', '')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setenv('HOME', str(tmp_path))


def test_no_model_is_asked_for(tmp_path: Path) -> None:
    found = find_surrogate(config(), tmp_path)
    assert found.model is None
    assert found.note == NO_MODEL


def test_no_model_is_asked_for_and_mace_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'mace', None)
    assert find_surrogate(config(), tmp_path).note == NO_MODEL


def test_a_model_is_asked_for_and_mace_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'mace', None)
    with pytest.raises(InstallationError, match=r'^select\.model: .* needs mace-torch, which is not installed on this machine'):
        find_surrogate(config(model=str(MODEL)), tmp_path)


@needs_mace
def test_a_path_on_this_machine(tmp_path: Path) -> None:
    found = find_surrogate(config(model=str(MODEL)), tmp_path)
    assert found.model is not None
    assert found.model.sha256 == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert (found.name, found.note) == (str(MODEL), '')


@needs_mace
def test_a_path_below_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    shutil.copyfile(MODEL, tmp_path / 'mine.model')
    assert find_surrogate(config(model='~/mine.model'), tmp_path / 'elsewhere').model is not None


@needs_mace
def test_the_file_of_the_job_comes_first(tmp_path: Path) -> None:
    shutil.copyfile(MODEL, tmp_path / files.MODEL)
    found = find_surrogate(config(model='/on/my/laptop.model'), tmp_path)
    assert found.model is not None
    assert found.name == '/on/my/laptop.model'


@needs_mace
def test_neither_a_file_nor_a_name(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"^select\.model: got 'larger'; neither a file on this machine nor a foundation model: small, "
    ):
        find_surrogate(config(model='larger'), tmp_path)


@needs_mace
def test_a_foundation_model_that_cannot_be_downloaded(tmp_path: Path, offline: None) -> None:
    started = time.monotonic()
    with pytest.raises(DownloadError) as error:
        find_surrogate(config(model='small'), tmp_path)
    said = str(error.value)
    assert said.startswith("select.model: the foundation model 'small' could not be downloaded to this machine (")
    assert said.endswith('): give the path of a model file instead')
    assert len(said.splitlines()) == 1
    assert time.monotonic() - started < 60


@needs_mace
def test_a_foundation_model_that_was_downloaded_before(tmp_path: Path, offline: None) -> None:
    from mace.calculators.foundations_models import mace_mp_urls  # noqa: PLC0415  # takes seconds, and may be missing

    name = ''.join(c for c in os.path.basename(mace_mp_urls['small']) if c.isalnum() or c in '_')  # noqa: PTH119  # of a URL
    folder = tmp_path / 'cache' / 'mace'
    folder.mkdir(parents=True)
    shutil.copyfile(MODEL, folder / name)
    found = find_surrogate(config(model='small'), tmp_path)
    assert found.model is not None
    assert found.model.elements == ('Mg', 'Al')
    assert found.name == 'small'


@needs_mace
def test_a_gpu_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch  # noqa: PLC0415  # takes seconds, and may be missing

    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(NoGpuError, match=r"^select\.device: got 'cuda'; PyTorch .* sees no GPU"):
        find_surrogate(config(model=str(MODEL), device='cuda'), tmp_path)
