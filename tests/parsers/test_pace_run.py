import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.units import BAR
from aiida_mlip_autopipe.engines.ace.md_input import PaceMd
from aiida_mlip_autopipe.engines.lammps.log import RunEnd
from aiida_mlip_autopipe.parsers.pace_run import read_run
from aiida_mlip_autopipe.science.md.records import MdSettings, TrajectoryEnd
from tests.lammps_pace_data import GRADE_LINES, aluminium, recorded, run_real


def settings(**values):
    """Return the settings of the recorded run."""
    same = {'temperature': 300.0, 'temperature_end': 3000.0, 'steps': 4000, 'seed': 12345, 'pressure': 0.0, 'check_interval': 10}
    return MdSettings(**{**same, 'gamma_select': 5.0, 'gamma_halt': 25.0, 'max_candidates': 20, **values})


def read(output, dump='', start=None, **values):
    return read_run(output, dump, start or aluminium(), ['Al'], settings(**values))


def test_the_recorded_halt():
    run = read(recorded('hot.out'), recorded('hot.dump'))
    result = run.result
    assert (run.end, result.stop, result.steps_done) == (RunEnd.HALTED, TrajectoryEnd.GRADE, 1220)
    assert result.message == 'fix halt stop at step 1220: 27.1096'
    assert [frame.info['step'] for frame in result.candidates] == [950, 1030, 1120, 1210, 1220]
    assert result.n_selected == 5
    assert result.candidates[-1].info['gamma_max'] == result.candidates[-1].arrays['gamma'].max() == 27.1096
    assert result.trace.gamma_max[-1] == 27.1096
    assert result.trace.pressure[-1] == pytest.approx(-288.093 * BAR)
    assert result.trace.temperature[0] == 300.0


def test_the_recorded_end():
    run = read(recorded('cold.out'), steps=1000, temperature_end=None)
    assert (run.end, run.result.stop, run.result.message) == (RunEnd.FINISHED, TrajectoryEnd.FINISHED, '')
    assert run.result.steps_done == 1000
    assert run.result.candidates == []


@pytest.mark.parametrize('style', ['continue', 'default', 'soft', 'hard'])
def test_every_style_of_halt_is_the_grade(style):
    result = read(recorded(f'halt/{style}.out'), gamma_halt=10.0).result
    assert result.stop is TrajectoryEnd.GRADE
    assert result.message == 'fix halt stop at step 850: 11.41'


def test_a_killed_run_keeps_what_it_left():
    run = read(recorded('killed.out'), recorded('killed.dump'))
    assert (run.end, run.result.stop, run.result.steps_done) == (RunEnd.CUT_SHORT, TrajectoryEnd.ERROR, 990)
    assert run.result.message == 'the output ends at step 990 of 4000: killed, or out of time'
    assert [frame.info['step'] for frame in run.result.candidates] == [950]
    assert run.result.trace.step[-1] == 990


def test_an_exploded_run_keeps_what_it_left():
    run = read(recorded('lost.out'), recorded('lost.dump'), start=aluminium(4.05), gamma_select=21.5, gamma_halt=30000.0)
    assert (run.end, run.result.stop) == (RunEnd.LOST_ATOMS, TrajectoryEnd.LOST_ATOMS)
    assert run.result.message.startswith('Lost atoms: original 108')
    assert [frame.info['step'] for frame in run.result.candidates] == [10, 20]
    assert run.result.trace.step.tolist() == [0, 10, 20]


@pytest.mark.parametrize(('fix', 'stop'), [('stop', 'grade'), ('hot', 'temperature'), ('close', 'bond'), ('other', 'error')])
def test_the_reason_follows_from_the_fix(fix, stop):
    assert read(recorded('hot.out').replace('fix-id stop', f'fix-id {fix}')).result.stop == stop


def test_numbers_that_are_not_finite_are_a_temperature_out_of_hand():
    output = recorded('lost.out').replace('Lost atoms: original 108 current 0', 'Non-numeric pressure - simulation unstable')
    assert read(output).result.stop is TrajectoryEnd.TEMPERATURE


def test_a_run_that_never_left_step_0_was_stopped_by_the_grade():
    """An active set of the right size from another fit: LAMMPS takes it and gives 23.2 on the perfect crystal."""
    row = '         0   0  -0.4587246  0  -0.4587246  -1000.782  1720.2  23.192292\n'
    head = '   Step Temp PotEng KinEng TotEng Press Volume c_cmax\n'
    result = read(f'{head}{row}Loop time of 1\nTotal wall time: 0:00:00\n', gamma_halt=10.0).result
    assert (result.stop, result.steps_done) == (TrajectoryEnd.GRADE, 0)
    assert result.message == 'grade 23.1923 at step 0, above gamma_halt 10'


def test_a_run_that_ends_early_without_a_reason_is_an_error():
    result = read(recorded('cold.out')).result
    assert result.stop is TrajectoryEnd.ERROR
    assert result.message == 'LAMMPS ended at step 1000 of 4000 and does not say why'


def test_cooling_counts_as_steps():
    assert read(recorded('cold.out'), steps=600, quench='cool', quench_steps=400).result.stop is TrajectoryEnd.FINISHED
    assert read(recorded('cold.out'), steps=1000, quench='cool', quench_steps=400).result.stop is TrajectoryEnd.ERROR


def test_the_iterations_of_a_relaxation_are_no_steps():
    result = read(recorded('cold.out'), steps=700, quench='minimize').result
    assert (result.stop, result.steps_done) == (TrajectoryEnd.FINISHED, 700)


def test_stale_grades_never_get_into_the_trace():
    trace = read(recorded('halt/th7.out'), steps=100).result.trace
    assert trace.step.tolist() == [0, 70, 100]
    assert trace.gamma_max.tolist() == [1.07542, 0.925597, 0.906499]


def test_frames_between_two_checks_are_no_candidates():
    found = read(recorded('hot.out'), recorded('hot.dump'), check_interval=20).result
    assert [frame.info['step'] for frame in found.candidates] == [1120, 1220]


def test_frames_at_the_threshold_are_no_candidates():
    found = read(recorded('hot.out'), recorded('hot.dump'), gamma_select=24.4343, gamma_halt=25.0).result
    assert [frame.info['step'] for frame in found.candidates] == [1220]


def test_frames_with_numbers_that_are_not_finite_are_no_candidates():
    dump = recorded('hot.dump').replace('1 1 12.0494 ', '1 1 nan ', 1)
    assert [frame.info['step'] for frame in read(recorded('hot.out'), dump).result.candidates] == [1030, 1120, 1210, 1220]


def test_candidates_are_thinned_and_the_last_one_stays():
    result = read(recorded('hot.out'), recorded('hot.dump'), max_candidates=2).result
    assert len(result.candidates) == 2
    assert result.candidates[-1].info['step'] == 1220
    assert result.n_selected == 5


def test_a_grade_that_is_no_number_is_not_the_smallest_one():
    output = recorded('cold.out').replace('1.07542', '-1e+20')
    assert np.isnan(read(output, steps=1000).result.trace.gamma_max[0])


def test_nothing_at_all():
    run = read('')
    assert (run.end, run.result.steps_done, len(run.result.trace.step)) == (RunEnd.CUT_SHORT, 0, 0)


def test_output_without_a_grade_is_refused():
    with pytest.raises(FormatError, match='no column c_cmax'):
        read(recorded('err/yamlinpace.out'))


def test_a_dump_of_other_atoms_is_refused():
    with pytest.raises(FormatError, match='other atoms than the start structure'):
        read(recorded('hot.out'), recorded('hot.dump'), start=aluminium().repeat((2, 1, 1)))


@pytest.mark.lammps
def test_a_real_run_of_a_rotated_cell_comes_back_in_its_own_orientation(tmp_path):
    start = aluminium(4.05)
    start.rotate(40, (1, 2, 3), rotate_cell=True)
    md = PaceMd(('Al',), GRADE_LINES, MdSettings(300.0, 10, 3, timestep=2.0, gamma_halt=1000.0))
    run = run_real(tmp_path, md, start=start)
    conditions = settings(steps=10, gamma_select=2.0, gamma_halt=1000.0, temperature_end=None)
    first, last = read_run(run.output, run.dump, start, ['Al'], conditions).result.candidates
    np.testing.assert_allclose(first.cell.array, start.cell.array, atol=1e-9)
    moved = first.positions - start.positions
    moved -= np.rint(moved @ np.linalg.inv(start.cell.array)) @ start.cell.array
    assert np.abs(moved).max() < 1e-8
    assert last.info['step'] == 10
