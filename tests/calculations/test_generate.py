import pytest
from aiida import orm
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.data.frames import FramesData


@pytest.fixture
def inputs(full_config):
    config = full_config()
    return {'system': orm.Dict(config['system']), 'settings': orm.Dict(config['generate']), 'seed': orm.Int(7)}


def test_the_ports():
    spec = CalculationFactory('mlip_autopipe.generate').spec()
    assert {'system', 'seed', 'settings', 'code'} <= set(spec.inputs)
    assert set(spec.outputs) >= {'frames', 'report'}
    assert spec.outputs['frames'].valid_type is FramesData
    assert spec.exit_codes.ERROR_NO_STRUCTURES.status == 420


def test_the_same_seed_gives_the_same_structures_to_choose_from(run_stage, inputs):
    first, again = (run_stage('generate', **inputs) for _ in range(2))
    frames = first.outputs.frames.frames
    assert first.is_finished_ok, first.exit_message
    assert frames.uid.tolist() == again.outputs.frames.frames.uid.tolist()
    report = first.outputs.report.get_dict()
    assert report['n_frames'] == len(frames)
    assert report['n_lineages'] == len(set(frames.lineage.tolist()))
    assert sum(report['by_config_type'].values()) == len(frames)
    assert not frames.labelled.any()
    selections = [
        run_stage('surrogate', frames=job.outputs.frames, budget=orm.Int(6), seed=orm.Int(7), settings=orm.Dict({}))
        for job in (first, again)
    ]
    chosen = [frames.uid[job.outputs.selection.get_array('indices')].tolist() for job in selections]
    assert len(chosen[0]) == 6
    assert chosen[0] == chosen[1]


def test_settings_that_the_worker_refuses_are_an_exit_code(run_stage, inputs):
    node = run_stage('generate', **{**inputs, 'settings': orm.Dict({'strains': 1})})
    assert node.exit_status == 210
    assert node.exit_message.startswith("strains: unknown key; did you mean 'strain'?")
    assert 'frames' not in node.outputs
