"""`SelectCalculation`: as a job where it runs to its end or needs an environment of its own, else without the scheduler."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.frames_functions import gather_frames
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats import files
from tests.mace_data import MODEL, almg_pool, needs_mace, poisoned

MD = {'kind': 'md', 'temperature': 500.0, 'steps': 3, 'timestep': 2.0}


@pytest.fixture
def options():
    return {'budget': orm.Int(3), 'seed': orm.Int(0), 'settings': orm.Dict({})}


def test_every_frame_is_selected_or_rejected_with_a_reason(run_stage, emt_frames, options):
    frames = emt_frames(8, labelled=False)
    doubled = Frames.concatenate([frames, frames.take([0])])
    node = run_stage('select', frames=FramesData(doubled), **options)
    assert node.is_finished_ok, node.exit_message
    indices, reasons = (node.outputs.selection.get_array(name) for name in ('indices', 'reasons'))
    assert len(indices) == 3
    assert len(reasons) == 9
    assert {i for i, reason in enumerate(reasons.tolist()) if not reason} == set(indices.tolist())
    counts = node.outputs.report['counts']
    assert counts['generated'] == 9
    assert counts['unique'] == 8
    assert counts['selected'] == 3
    assert sum(node.outputs.report['reasons'].values()) == 6


def test_what_is_known_is_not_selected(run_stage_here, emt_frames, options):
    frames = emt_frames(6, labelled=False)
    found = run_stage_here('select', frames=FramesData(frames), known=FramesData(emt_frames(4)), **options)
    assert set(found.outputs['selection'].get_array('indices').tolist()) <= {4, 5}
    assert found.outputs['report']['n_known'] == 4


def test_nothing_to_select_is_an_exit_code_with_the_reasons(run_stage_here, emt_frames, options):
    frames = emt_frames(2, labelled=False)
    found = run_stage_here('select', frames=FramesData(frames), known=FramesData(frames), **options)
    assert found.node.exit_status == 420
    assert found.node.exit_message.startswith('None of 2 candidates was selected: ')
    np.testing.assert_array_equal(found.outputs['selection'].get_array('indices'), [])


def test_frames_that_come_first_and_do_not_fit_are_an_exit_code_with_the_number(run_stage_here, emt_frames):
    frames = emt_frames(5, labelled=False)
    kinds = sorted(set(frames.config_type.tolist()))
    settings = orm.Dict({'first': kinds})
    found = run_stage_here('select', frames=FramesData(frames), budget=orm.Int(3), seed=orm.Int(0), settings=settings)
    assert found.node.exit_status == 210
    assert found.node.exit_message.startswith('5 frames must be labelled first (')
    assert 'raise loop.initial_labels to at least 5' in found.node.exit_message


def test_the_potential_goes_with_the_job(run_stage_here, emt_frames, options, fake_potential):
    """Its files are found; that they hold no potential is told."""
    found = run_stage_here('select', frames=FramesData(emt_frames(4, labelled=False)), potential=fake_potential, **options)
    assert found.node.exit_status == 210
    assert found.node.exit_message == "param.pod has the elements [], expected ['Cu', 'Au'] in this order"


def with_settings(**values):
    return {'budget': orm.Int(3), 'seed': orm.Int(0), 'settings': orm.Dict({'device': 'cpu', **values})}


@needs_mace
def test_a_model_as_node(run_stage):
    """The ends of the walks are attached, and the selection refers to them; the model is uploaded, not stored again."""
    frames = FramesData(almg_pool())
    node = run_stage('select', frames=frames, model=orm.SinglefileData(MODEL), **with_settings(pre_explore=MD, model='mine'))
    assert node.is_finished_ok, node.exit_message
    report, pool = node.outputs.report, node.outputs.pool
    assert report['surrogate']['sha256'] == hashlib.sha256(MODEL.read_bytes()).hexdigest()
    assert report['n_walked'] == len(frames)
    assert len(pool) == 2 * len(frames)
    assert len(node.outputs.selection.get_array('reasons')) == len(pool)
    indices = node.outputs.selection.get_array('indices')
    chosen = gather_frames(pool=pool, selection=node.outputs.selection)
    assert chosen.frames.uid.tolist() == pool.frames.uid[indices].tolist()
    assert files.MODEL not in node.base.repository.list_object_names()
    assert files.MODEL not in node.outputs.retrieved.base.repository.list_object_names()


@needs_mace
def test_a_model_on_the_compute_machine(run_stage_here):
    found = run_stage_here('select', frames=FramesData(almg_pool()), **with_settings(model=str(MODEL)))
    assert found.node.is_finished_ok, found.node.exit_message
    assert found.outputs['report']['surrogate']['name'] == str(MODEL)
    assert 'pool' not in found.outputs


@needs_mace
def test_a_file_that_is_no_model_has_its_exit_code(run_stage_here, tmp_path):
    path = tmp_path / 'notes.model'
    path.write_text('not a model')
    found = run_stage_here('select', frames=FramesData(almg_pool()), model=orm.SinglefileData(path), **with_settings())
    assert found.node.exit_status == 211
    assert found.node.exit_message.startswith(f'select.model: {files.MODEL} is not a MACE model: ')
    assert 'selection' not in found.outputs


@needs_mace
def test_an_unknown_element_has_its_exit_code(run_stage_here, emt_frames):
    frames = FramesData(emt_frames(4, labelled=False))
    found = run_stage_here('select', frames=frames, model=orm.SinglefileData(MODEL), **with_settings(pre_explore=MD))
    assert found.node.exit_status == 212
    known = "which the model does not know; it knows ['Mg', 'Al']"
    assert found.node.exit_message == f"select.model: the structures have ['Au', 'Cu'], {known}"


@needs_mace
def test_a_gpu_that_is_not_there_has_its_exit_code(run_stage_here):
    import torch  # noqa: PLC0415  # takes seconds, and may be missing

    if torch.cuda.is_available():
        pytest.skip('this machine has a GPU')
    found = run_stage_here('select', frames=FramesData(almg_pool()), **with_settings(model=str(MODEL), device='cuda'))
    assert found.node.exit_status == 402
    assert found.node.exit_message.startswith("select.device: got 'cuda'; PyTorch")
    assert found.node.exit_message.endswith('sees no GPU on this machine: take auto or cpu')


@needs_mace
def test_a_failed_download_has_its_exit_code(run_stage_here, monkeypatch, tmp_path):
    for name in ('https_proxy', 'HTTPS_PROXY'):
        monkeypatch.setenv(name, 'http://127.0.0.1:9')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    found = run_stage_here('select', frames=FramesData(almg_pool()), **with_settings(model='small'))
    assert found.node.exit_status == 403
    assert found.node.exit_message.startswith(
        "select.model: the foundation model 'small' could not be downloaded to this machine ("
    )


def test_a_model_without_mace_has_its_exit_code(run_stage, tmp_path):
    (tmp_path / 'sitecustomize.py').write_text("import sys\nsys.modules['mace'] = None\n")
    hidden = {'options': {'prepend_text': f'export PYTHONPATH={tmp_path}'}}
    node = run_stage('select', frames=FramesData(almg_pool()), metadata=hidden, **with_settings(model=str(MODEL)))
    assert node.exit_status == 401
    assert 'needs mace-torch, which is not installed on this machine' in node.exit_message


@needs_mace
def test_predictions_that_are_not_finite_select_nothing(run_stage_here, tmp_path):
    model = orm.SinglefileData(poisoned(tmp_path / 'poisoned.model'))
    frames = FramesData(almg_pool())
    found = run_stage_here('select', frames=frames, model=model, **with_settings())
    assert found.node.exit_status == 420
    assert found.node.exit_message == f"None of {len(frames)} candidates was selected: {{'not_finite': {len(frames)}}}"


@needs_mace
def test_a_pool_that_is_all_outside_is_an_exit_code_with_the_reasons(run_stage_here):
    frames = FramesData(almg_pool())
    found = run_stage_here('select', frames=frames, model=orm.SinglefileData(MODEL), **with_settings(volume_window=[1.0, 2.0]))
    assert found.node.exit_status == 420
    assert found.node.exit_message == f"None of {len(frames)} candidates was selected: {{'volume_window': {len(frames)}}}"
    assert found.outputs['report']['reasons_by_config_type']['torn'] == {'volume_window': 1}


@needs_mace
def test_a_budget_larger_than_the_pool_takes_all(run_stage_here):
    frames = FramesData(almg_pool())
    found = run_stage_here('select', frames=frames, model=orm.SinglefileData(MODEL), **{**with_settings(), 'budget': orm.Int(99)})
    assert found.node.is_finished_ok, found.node.exit_message
    assert len(found.outputs['selection'].get_array('indices')) == len(frames)
    assert found.outputs['report']['notes'][0].startswith(f'the budget of 99 is larger than the {len(frames)} candidates')


def test_mace_stays_out_of_the_processes(tmp_path):
    """What the daemon imports for this job holds no torch."""
    code = 'import sys, aiida_mlip_autopipe.calculations.selection, aiida_mlip_autopipe.workflows.stages as s; s\n'
    code += "assert not {'mace', 'torch', 'e3nn'} & set(sys.modules)"
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
