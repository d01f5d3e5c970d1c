import dataclasses
import json

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.parsers.pace_run import read_run
from aiida_mlip_autopipe.science.md.findings import FAILURE, Findings
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, TrajectoryEnd
from tests.lammps_pace_data import aluminium, recorded

SETTINGS = MdSettings(
    temperature=300.0,
    temperature_end=3000.0,
    steps=4000,
    seed=12345,
    pressure=0.0,
    gamma_select=5.0,
    gamma_halt=25.0,
    max_candidates=20,
)
CUTOFF = 4.0


@pytest.fixture
def start():
    atoms = aluminium()
    atoms.info.update(uid=uid_of(atoms), lineage='root')
    return atoms


@pytest.fixture
def result(start):
    return read_run(recorded('hot.out'), recorded('hot.dump'), start, ['Al'], SETTINGS).result


def found_in(start, *results, max_atoms=200):
    found = Findings(max_atoms, CUTOFF, loop_round=3)
    for result in results:
        found.add(start, SETTINGS, result)
    return found


def test_the_entry_of_the_recorded_halt(start, result):
    entry = found_in(start, result).runs[0]
    assert entry == {
        'start': start.info['uid'],
        'lineage': 'root',
        'temperature': 300.0,
        'temperature_end': 3000.0,
        'pressure': 0.0,
        'seed': 12345,
        'reason': 'grade',
        'passed': False,
        'message': 'fix halt stop at step 1220: 27.1096',
        'steps_done': 1220,
        'n_checks': len(result.trace.step),
        'n_selected': 5,
        'n_candidates': 5,
        'n_before_failure': 0,
        'warmup_steps': 0,
        'gamma_max': 27.1096,
        'shortest_bond': None,
        'share_above_select': pytest.approx(float((result.trace.gamma_max > 5.0).mean())),
        'share_above_in_warmup': None,
    }


def test_the_warm_up_is_told_apart(start, result):
    found = Findings(200, CUTOFF, loop_round=3)
    found.add(start, dataclasses.replace(SETTINGS, warmup=600), result)
    entry, gammas, warm = found.runs[0], result.trace.gamma_max, result.trace.step >= 600
    assert entry['n_checks'] == warm.sum() < len(gammas)
    assert entry['share_above_select'] == pytest.approx(float((gammas[warm] > 5.0).mean()))
    assert entry['share_above_in_warmup'] == pytest.approx(float((gammas[~warm] > 5.0).mean()))
    assert found.report['share_above_select'] == entry['share_above_select']


def test_frames_from_before_a_failure_have_a_config_type_and_a_reason(start, result):
    frame = start.copy()
    frame.info.update(step=40, gamma_max=1.2)
    frame.arrays['gamma'] = np.full(len(frame), 1.2)
    failed = dataclasses.replace(result, candidates=[], stop=TrajectoryEnd.TEMPERATURE, before_failure=[frame])
    found = found_in(start, failed)
    assert found.candidates[0].info['config_type'] == FAILURE
    assert json.loads(found.candidates[0].info['origin'])['failure'] == 'temperature'
    assert (found.runs[0]['n_candidates'], found.runs[0]['n_before_failure'], found.runs[0]['passed']) == (0, 1, False)


def test_a_candidate_from_before_a_failure_comes_back_once_with_its_reason(start, result):
    frame = start.copy()
    frame.info.update(step=40, gamma_max=6.0)
    frame.arrays['gamma'] = np.full(len(frame), 6.0)
    found = found_in(start, dataclasses.replace(result, candidates=[frame], stop=TrajectoryEnd.BOND, before_failure=[frame]))
    assert [atoms.info['config_type'] for atoms in found.candidates] == [FAILURE]
    assert (found.runs[0]['n_candidates'], found.runs[0]['n_before_failure'], found.n_duplicates) == (0, 1, 1)


def test_the_report_has_its_keys(start, result):
    keys = {'trajectories', 'share_above_select', 'n_candidates', 'n_duplicates', 'n_uncut'}
    assert set(found_in(start, result).report) == keys


def test_a_trajectory_that_never_began(start, result):
    found = found_in(start, result)
    found.add(start, SETTINGS, None, 'it crashed')
    entry = found.runs[1]
    assert set(entry) == set(found.runs[0])
    assert (entry['reason'], entry['message'], entry['steps_done'], entry['n_checks']) == ('error', 'it crashed', 0, 0)
    assert entry['gamma_max'] is entry['shortest_bond'] is entry['share_above_select'] is None
    assert not any(name.endswith('_1') for name in found.traces)


@pytest.mark.parametrize(('bonds', 'shortest'), [([0.9, 0.7], 0.7), ([0.9, np.inf], None), ([], None)])
def test_the_shortest_bond(start, bonds, shortest):
    trace = MdTrace(np.arange(2), *np.ones((4, 2)), bond=np.array(bonds))
    found = found_in(start, MdResult([], TrajectoryEnd.FINISHED, '', 1, 0, trace))
    assert found.runs[0]['shortest_bond'] == shortest
    assert ('bond_0' in found.traces) == bool(bonds)


def test_candidates_say_where_they_come_from(start, result):
    found = found_in(start, result)
    last = found.candidates[-1]
    assert last.info['parent'] == start.info['uid']
    assert last.info['lineage'] == 'root'
    assert (last.info['config_type'], last.info['round']) == ('md', 3)
    assert last.info['uid'] == uid_of(last)
    origin = json.loads(last.info['origin'])
    assert (origin['step'], origin['gamma_max'], origin['temperature']) == (1220, 27.1096, 300.0)
    assert found.grades[-1].shape == (108,)
    assert found.grades[-1].max() == 27.1096


def test_a_frame_that_was_found_before_counts_as_duplicate(start, result):
    found = found_in(start, result, result)
    assert len(found.candidates) == 5
    assert found.report['n_duplicates'] == 5
    assert [run['n_candidates'] for run in found.runs] == [5, 0]


def test_large_frames_are_cut_around_the_most_uncertain_atom(start, result):
    found = found_in(start, result, max_atoms=100)
    report = found.report
    assert report['n_candidates'] + report['n_uncut'] == 5
    for candidate, grades in zip(found.candidates, found.grades, strict=True):
        origin = json.loads(candidate.info['origin'])
        assert len(candidate) == len(grades) <= 100
        assert origin['carved_from'] == 108
        assert grades[origin['centre']] == origin['gamma_max']


def test_frames_that_cannot_be_cut_are_kept_apart_with_the_reason(start, result):
    found = found_in(start, result, max_atoms=10)
    assert found.candidates == []
    assert len(found.uncut) == 5
    assert 'max_atoms: got 10' in json.loads(found.uncut[0].info['origin'])['uncut']
    assert found.report['n_uncut'] == 5


def test_traces_are_numbered_by_trajectory(start, result):
    traces = found_in(start, result, result).traces
    assert set(traces) == {f'{name}_{i}' for i in (0, 1) for name in ('step', 'gamma_max', 'temperature', 'energy', 'pressure')}
    np.testing.assert_array_equal(traces['step_1'], result.trace.step)


def test_the_share_is_that_of_all_checks(start, result):
    calm = MdResult([], TrajectoryEnd.FINISHED, '', 100, 0, MdTrace(np.arange(2), *np.ones((4, 2))))
    above, checks = int((result.trace.gamma_max > 5.0).sum()), len(result.trace.step)
    assert found_in(start, result, calm).report['share_above_select'] == pytest.approx(above / (checks + 2))


def test_a_trajectory_without_a_check(start):
    nothing = MdResult([], TrajectoryEnd.ERROR, 'killed', 0, 0, MdTrace(np.zeros(0, dtype=np.int64), *np.zeros((4, 0))))
    found = found_in(start, nothing)
    assert found.runs[0]['gamma_max'] is None
    assert found.runs[0]['share_above_select'] is None
    assert found.report['share_above_select'] is None
    assert found.traces == {}


def test_a_grade_that_is_no_number_is_not_reported(start):
    trace = MdTrace(np.arange(2), np.array([np.nan, 1.5]), *np.ones((3, 2)))
    assert found_in(start, MdResult([], TrajectoryEnd.ERROR, '', 1, 0, trace)).runs[0]['gamma_max'] == 1.5
