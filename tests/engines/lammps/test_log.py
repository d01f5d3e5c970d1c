import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.engines.lammps.log import Halt, RunEnd, missing_style, read_log
from tests.lammps_pace_data import recorded

COLUMNS = ['Temp', 'PotEng', 'Press', 'c_cmax']
HEADER = '   Step          Temp     c_cmax\n'
WALL_TIME = 'Total wall time: 0:00:08\n'

ENDS = {
    'hot.out': RunEnd.HALTED,
    'hot.log': RunEnd.HALTED,
    'cold.out': RunEnd.FINISHED,
    'killed.out': RunEnd.CUT_SHORT,
    'lost.out': RunEnd.LOST_ATOMS,
    'alcu.log': RunEnd.FINISHED,
    **{f'halt/{style}.{kind}': RunEnd.HALTED for style in ('continue', 'default', 'soft', 'hard') for kind in ('out', 'log')},
    'halt/th7.out': RunEnd.FINISHED,
    'err/noplug.out': RunEnd.STYLE_MISSING,
    'err/other.out': RunEnd.FINISHED,
    'err/yamlinpace.out': RunEnd.FINISHED,
    **{
        f'err/{case}.out': RunEnd.ERROR
        for case in ('badelem', 'gammanoprior', 'noasi', 'nofile', 'wrongasi', 'wrongsizeasi', 'yaceinext')
    },
}

MESSAGES = {
    'badelem': 'Element Cu is not supported by ACE-potential from file output_potential.yace '
    '(at the line "pair_coeff * * output_potential.yace Cu")',
    'gammanoprior': 'Fix pair pair style cannot extract gamma_flag (at the line "fix g all pair 1 pace gamma 1")',
    'noasi': 'Exception: npz_load: Error! Unable to open file !',
    'nofile': "Exception: Unrecognized file type of ''. Accept only .ace or .yace",
    'noplug': "Unrecognized pair style 'pace' is part of the ML-PACE package which is not enabled in this LAMMPS binary. "
    '(at the line "pair_style pace")',
    'other': '',
    'wrongasi': 'Exception: Number of species types in ASI `alcu.asi` (2)not equal to number of species in ACEBBassiSet (1)',
    'wrongsizeasi': 'Exception: Active Set Inverted for element `Al`:expected size 60 (linear) or 120 (nonlinear) , '
    'but has size 150',
    'yaceinext': 'Exception: bad conversion',
    'yamlinpace': '',
}


def log_of(*lines):
    """Return the log of a run that printed one row and these lines."""
    return read_log(HEADER + '         0   300   1.5\n' + ''.join(f'{line}\n' for line in lines))


@pytest.mark.parametrize('name', ENDS)
def test_how_every_recorded_run_ended(name):
    assert read_log(recorded(name)).end is ENDS[name]


@pytest.mark.parametrize('case', MESSAGES)
def test_the_message_of_every_recorded_error(case):
    assert read_log(recorded(f'err/{case}.out')).message == MESSAGES[case]


@pytest.mark.parametrize('style', ['continue', 'default', 'soft', 'hard'])
@pytest.mark.parametrize('kind', ['out', 'log'])
def test_a_halt_is_told_with_step_and_value_whatever_its_exit_code(style, kind):
    log = read_log(recorded(f'halt/{style}.{kind}'))
    assert log.halt == Halt('stop', 850, 11.409979398237738)
    assert log.message == ''
    assert log.last_step == (840 if style == 'hard' else 850)


def test_a_finished_run_has_neither_halt_nor_message():
    log = read_log(recorded('cold.out'))
    assert (log.end, log.halt, log.message, log.last_step) == (RunEnd.FINISHED, None, '', 1000)


def test_output_and_log_file_hold_the_same_numbers():
    from_output, from_log = (read_log(recorded(f'halt/soft.{kind}')).at_checks(COLUMNS, 10) for kind in ('out', 'log'))
    for name, values in from_output.items():
        np.testing.assert_array_equal(values, from_log[name])


def test_columns_are_read_by_name():
    columns = read_log(recorded('hot.out')).at_checks(COLUMNS, 10)
    assert columns['Step'][-1] == 1220
    assert columns['c_cmax'][-1] == 27.1096
    assert columns['Temp'][0] == 300.0
    assert columns['PotEng'][-1] == 21.5144
    assert columns['Press'][-1] == -288.093


def test_columns_of_a_triclinic_run():
    log = read_log(recorded('alcu.log'))
    assert log.at_checks(['PotEng', 'Pyz', 'c_gmax'], 1)['c_gmax'].tolist() == [0.7669020267]
    assert log.warnings == ("No fixes with time integration, atoms won't move",)


def test_a_missing_column_is_named_with_those_that_exist():
    with pytest.raises(FormatError, match='no column c_cmax; it has Step, Temp, E_pair'):
        read_log(recorded('err/yamlinpace.out')).at_checks(['c_cmax'], 10)


class TestStaleGrades:
    """Thermodynamic output every 7 steps, grade every 10: LAMMPS prints the old one without a word."""

    def test_the_recorded_output_repeats_a_grade(self):
        grades = read_log(recorded('halt/th7.out')).at_checks(['c_cmax'], 1)
        by_step = dict(zip(grades['Step'], grades['c_cmax'], strict=True))
        assert by_step[7] == by_step[0]
        assert by_step[77] == by_step[70]

    def test_only_steps_at_which_it_was_computed_are_read(self):
        assert read_log(recorded('halt/th7.out')).at_checks(['c_cmax'], 10)['Step'].tolist() == [0, 70, 100]

    def test_the_last_row_of_a_run_is_left_out_between_two_checks(self):
        assert read_log(recorded('halt/th7.out')).at_checks(['c_cmax'], 7)['Step'][-1] == 98


def test_a_step_that_two_runs_print_counts_once_and_the_later_one_holds():
    text = f'{HEADER} 0 300 1.0\nLoop time of 1\n{HEADER} 0 300 2.0\n 10 310 3.0\nLoop time of 1\n{WALL_TIME}'
    columns = read_log(text).at_checks(['c_cmax'], 10)
    assert columns['Step'].tolist() == [0, 10]
    assert columns['c_cmax'].tolist() == [2.0, 3.0]


def test_blocks_of_different_columns_are_kept_apart():
    log = read_log(f'{HEADER} 0 300 1.0\n   Step Press\n 0 7.5\n{WALL_TIME}')
    assert [block.columns for block in log.thermo] == [('Step', 'Temp', 'c_cmax'), ('Step', 'Press')]


def test_a_row_that_was_cut_short_is_not_read():
    log = read_log(recorded('killed.out'))
    assert log.last_step == 990
    # Even a row with all its columns may lack digits at its end.
    assert read_log(f'{HEADER} 0 300 1.0\n 10 310 3.').last_step == 0


def test_lines_within_a_block_that_are_no_rows_are_passed_over():
    log = read_log(f'{HEADER} 0 300 1.0\nWARNING: Too hot (src/src/thermo.cpp:7)\n 10 310 3.0\nLoop time\n{WALL_TIME}')
    assert log.warnings == ('Too hot',)
    assert log.last_step == 10


def test_numbers_that_are_not_finite_are_rows():
    columns = read_log(f'{HEADER} 0 300 1.0\n 10 nan -nan\n 20 inf 1.0\n{WALL_TIME}').at_checks(['Temp'], 10)
    assert np.isnan(columns['Temp'][1])
    assert np.isinf(columns['Temp'][2])


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('Exception: bad conversion', 'Exception: bad conversion'),
        ("terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc", 'std::bad_alloc'),
        ('/bin/lmp: error while loading shared libraries: libmpi.so.12: cannot open', 'libmpi.so.12: cannot open'),
        ('bash: line 1: 77 Segmentation fault  lmp -in in.a', 'Segmentation fault'),
        ('=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES', 'BAD TERMINATION'),
        ('slurmstepd: error: *** JOB 7 CANCELLED AT 08:00 DUE TO TIME LIMIT ***', 'DUE TO TIME LIMIT'),
        ('mpirun noticed that process rank 0 exited on signal 9 (Killed).', 'exited on signal 9'),
        ('bash: line 9: /opt/lmp: No such file or directory', '/opt/lmp: No such file or directory'),
        ('bash: line 9: lmp: command not found', 'lmp: command not found'),
        ('Abort(1) on node 0 (rank 0 in comm 0): application called MPI_Abort', 'Abort(1) on node 0'),
    ],
)
def test_messages_without_the_word_error_are_found(line, message):
    log = log_of(line)
    assert log.end is RunEnd.ERROR
    assert message in log.message


@pytest.mark.parametrize(
    ('line', 'end'),
    [
        ('ERROR: Lost atoms: original 108 current 107 (src/thermo.cpp:524)', RunEnd.LOST_ATOMS),
        ('ERROR on proc 3: Non-numeric pressure - simulation unstable (src/fix_nh.cpp:1042)', RunEnd.NOT_FINITE),
        ('ERROR: If command boolean can only operate on numbers (src/a.cpp:1)\nLast input line: nan > 25', RunEnd.NOT_FINITE),
        ("ERROR: Unrecognized pair style 'pace/extrapolation' (src/force.cpp:275)", RunEnd.STYLE_MISSING),
        ('ERROR: Out of memory (src/memory.cpp:7)', RunEnd.ERROR),
    ],
)
def test_errors_are_told_apart(line, end):
    log = log_of(line)
    assert log.end is end
    assert '.cpp' not in log.message


def test_lost_atoms_that_are_only_warned_of_do_not_end_a_run():
    assert log_of('WARNING: Lost atoms: original 108 current 107', WALL_TIME.strip()).end is RunEnd.FINISHED


def test_an_error_after_a_halt_is_an_error():
    log = log_of('Fix halt condition for fix-id stop met on step 850 with value 11.4', 'ERROR: Cannot open restart file')
    assert (log.end, log.message) == (RunEnd.ERROR, 'Cannot open restart file')


def test_the_first_of_several_halts_counts():
    line = 'Fix halt condition for fix-id {} met on step 850 with value {}'
    assert log_of(line.format('hot', 4000), line.format('stop', 30), WALL_TIME.strip()).halt == Halt('hot', 850, 4000.0)


@pytest.mark.parametrize('text', ['', 'LAMMPS (22 Jul 2025)\n', 'no end'])
def test_output_that_ends_early_is_neither_finished_nor_an_error(text):
    log = read_log(text)
    assert (log.end, log.message, log.last_step, log.thermo) == (RunEnd.CUT_SHORT, '', None, ())
    assert log.at_checks(COLUMNS, 10)['Step'].shape == (0,)


@pytest.mark.parametrize(
    ('message', 'expected'),
    [
        (MESSAGES['noplug'], ('pace', 'ML-PACE')),
        ("Unrecognized pair style 'pace/extrapolation'", ('pace/extrapolation', '')),
        ('Lost atoms: original 108 current 107', None),
    ],
)
def test_the_missing_pair_style_and_its_package(message, expected):
    assert missing_style(message) == expected


def test_rows_equal_those_that_aiida_lammps_reads():
    parser = pytest.importorskip('aiida_lammps.parsers.parse_raw.lammps_output')
    reference = parser.parse_outputfile(file_contents=recorded('cold.out'))['time_dependent']
    found = read_log(recorded('cold.out')).at_checks(COLUMNS, 1)
    for name in COLUMNS:
        np.testing.assert_array_equal(found[name], reference[name])
