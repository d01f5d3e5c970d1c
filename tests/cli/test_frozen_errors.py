"""Errors on the frozen test set in words: intervals, groups and remarks."""

from aiida_mlip_autopipe.cli.frozen_errors import group_lines, group_rows, interval_text, pressure_remarks, remarks
from aiida_mlip_autopipe.cli.summary import round_lines
from aiida_mlip_autopipe.common.units import GPA
from tests.cli.test_summary import ROUND


def group(n_frames, energy, force, *, interval=True):
    return {
        'n_frames': n_frames,
        'n_lineages': n_frames - 1,
        'energy_rmse': energy,
        'energy_interval': [0.8 * energy, 1.2 * energy] if interval else None,
        'force_rmse': force,
        'force_interval': [0.9 * force, 1.1 * force] if interval else None,
    }


GROUPS = {
    'part': {'made': group(20, 0.005, 0.04), 'md': group(4, 0.01, 0.1)},
    'config_type': {'rattle': group(20, 0.005, 0.04), 'md': group(4, 0.01, 0.1)},
    'composition': {'Al': group(24, 0.006, 0.05)},
}
LACKING = {
    'temperatures': [
        {'temperature': 300.0, 'n_frames': 3, 'reasons': {}},
        {'temperature': 900.0, 'n_frames': 0, 'reasons': {'bond': 2}},
    ]
}


def test_an_interval_is_told_by_its_ends():
    assert interval_text([0.0123, 0.0234], '.1f') == '12.3 to 23.4'
    assert interval_text(None, '.1f') == '-'


def test_each_group_has_a_row_and_a_single_group_none():
    rows = group_rows(GROUPS)
    assert [row[0] for row in rows] == ['part made', 'part md', 'config type rattle', 'config type md']
    assert rows[1] == ['part md', '4', '3', '10.00', '8.00 to 12.00', '100.0', '90.0 to 110.0']


def test_a_group_of_one_frame_has_no_interval():
    groups = {'config_type': {'a': group(1, 0.01, 0.1, interval=False), 'b': group(2, 0.01, 0.1)}}
    assert group_rows(groups)[0][4::2] == ['-', '-']


def test_runs_of_older_versions_have_no_groups():
    assert group_rows(None) == group_lines({}) == remarks({}) == []


def test_what_speaks_against_the_errors_is_told():
    entry = {'test_caution': 'the test set has 4 frames, fewer than 20: its error is a guess', 'test_md': LACKING}
    assert remarks(entry) == [entry['test_caution'], 'the test set has no frames of MD at 900 K: 2 bond']
    failed = {'test_md': {'temperatures': [{'temperature': 300.0, 'n_frames': 0, 'reasons': {}}]}}
    assert remarks(failed) == ['the test set has no frames of MD at 300 K: the job failed']


def test_a_pressure_of_the_labels_is_told_where_it_matters():
    known = {'stress_offset': 0.3 * GPA, 'stress_noise': 0.1 * GPA}
    assert remarks(known) == pressure_remarks(known) == pressure_remarks({'stress_offset': 0.3 * GPA})
    assert pressure_remarks(known)[0].startswith('the stresses of the labels are off by a pressure of 0.30 GPa')
    for fit in ({'stress_offset': 0.04 * GPA}, {'stress_offset': None}, {}, {**known, 'stress_noise': 0.2 * GPA}):
        assert pressure_remarks(fit) == []


def test_the_lines_of_a_round_hold_them():
    errors = {**ROUND['test_errors'], 'energy_interval': [0.01, 0.02], 'force_interval': [0.05, 0.06], 'n_lineages': 9}
    lines = round_lines({**ROUND, 'test_errors': errors, 'test_groups': GROUPS, 'test_caution': 'a guess', 'test_md': LACKING})
    first = next(index for index, line in enumerate(lines) if line.startswith('  test '))
    assert lines[first + 1 :] == [
        '            90 % interval: energy 10.00 to 20.00 meV/atom, force 50.0 to 60.0 meV/Å (of 9 lineages)',
        '            part made           20 frames   5.00 (4.00 to 6.00) meV/atom   40.0 (36.0 to 44.0) meV/Å',
        '            part md              4 frames  10.00 (8.00 to 12.00) meV/atom  100.0 (90.0 to 110.0) meV/Å',
        '            config type rattle  20 frames   5.00 (4.00 to 6.00) meV/atom   40.0 (36.0 to 44.0) meV/Å',
        '            config type md       4 frames  10.00 (8.00 to 12.00) meV/atom  100.0 (90.0 to 110.0) meV/Å',
        '            a guess',
        '            the test set has no frames of MD at 900 K: 2 bond',
    ]
