"""`ExploreWorkChain` with `mlip_autopipe.lammps_pace` as explorer: recorded runs through the real chain, CalcJob and parser."""

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.explore import ExploreWorkChain, validate_inputs
from tests.lammps_pace_data import FIXTURES, aluminium, pace_folder

SETTINGS = {
    'explorer': 'mlip_autopipe.lammps_pace',
    'temperatures': [300.0, 600.0],
    'steps': 1000,
    'timestep': 1.0,
    'gamma_select': 5.0,
    'gamma_halt': 25.0,
}


@pytest.fixture
def explore(localhost, tmp_path):
    """Return a function that explores with a stand-in which replays a recorded run."""

    def run(name):
        code = orm.InstalledCode(
            label=f'replay-{name.replace("/", "-")}',
            computer=localhost,
            filepath_executable=str(FIXTURES / 'bin' / 'lmp'),
            prepend_text=f'export LMP_REPLAY={name}',
        ).store()
        _, node = run_get_node(
            ExploreWorkChain,
            code=code,
            potential=PotentialData.from_folder(pace_folder(tmp_path / 'pace')),
            starts=FramesData.from_atoms([aluminium()]),
            seed=orm.Int(1),
            round=orm.Int(0),
            settings=orm.Dict(SETTINGS),
        )
        return node

    return run


def test_a_start_that_finishes_reaches_the_top_of_the_ladder(explore):
    node = explore('cold')
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.report
    assert [run['temperature'] for run in report['trajectories']] == [300.0, 600.0]
    assert report['n_stopped'] == 0
    assert report['is_passed']
    assert 'candidates' not in node.outputs


def test_a_run_that_the_grade_stops_leaves_its_start_below_the_first_rung(explore):
    node = explore('hot')
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.report
    assert [run['temperature'] for run in report['trajectories']] == [300.0, 600.0]
    assert report['reasons'] == {'grade': 2}
    assert [rung['reached'] for rung in report['ladder']] == [None]
    assert report['gamma_max'] == 27.1096
    assert len(node.outputs.candidates) == 5


@pytest.mark.parametrize(
    ('explorer', 'of_pace', 'said'),
    [
        ('mlip_autopipe.lammps_pace', False, 'the explorer of such a potential is mlip_autopipe.lammps_md'),
        ('nowhere', True, "explore.explorer: got 'nowhere'"),
    ],
)
def test_an_explorer_that_cannot_run_the_potential_is_refused(tmp_path, fake_potential, explorer, of_pace, said):
    potential = PotentialData.from_folder(pace_folder(tmp_path / 'pace')) if of_pace else fake_potential
    problem = validate_inputs({'potential': potential, 'settings': orm.Dict({**SETTINGS, 'explorer': explorer})}, None)
    assert problem.startswith('explore.explorer: ')
    assert said in problem


def test_an_explorer_that_can_run_the_potential(tmp_path, fake_potential):
    pace = PotentialData.from_folder(pace_folder(tmp_path / 'pace'))
    mine, other = 'mlip_autopipe.lammps_md', 'mlip_autopipe.lammps_pace'
    for potential, explorer in ((pace, other), (pace, mine), (fake_potential, mine)):
        inputs = {'potential': potential, 'settings': orm.Dict({**SETTINGS, 'explorer': explorer})}
        assert validate_inputs(inputs, None) is None


def test_a_lammps_without_the_package_fails_with_its_sentence(explore):
    node = explore('err/noplug')
    assert node.exit_status == 410
    assert 'built without the package ML-PACE' in node.exit_message
