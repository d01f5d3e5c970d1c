import numpy as np
from aiida import orm

from aiida_mlip_autopipe.calculations.explore_functions import summarize_exploration, unique_candidates
from aiida_mlip_autopipe.data.frames import FramesData


def run(temperature, reason='finished', n_candidates=1, gamma_max=1.5, **values):
    return {
        'start': 'a',
        'lineage': 'a',
        'temperature': temperature,
        'reason': reason,
        'passed': reason == 'finished',
        'n_candidates': n_candidates,
        'gamma_max': gamma_max,
        **values,
    }


def test_all_trajectories_in_the_order_of_the_temperatures():
    low, high = [run(300.0), run(300.0, n_candidates=0)], [run(600.0, reason='halted', gamma_max=12.0)]
    rungs = {'rung_01': orm.Dict({'trajectories': high}), 'rung_00': orm.Dict({'trajectories': low})}
    assert summarize_exploration(**rungs).get_dict() == {
        'n_trajectories': 3,
        'n_stopped': 1,
        'reasons': {'finished': 2, 'halted': 1},
        'ladder': [{'start': 'a', 'lineage': 'a', 'reached': 300.0}],
        'is_passed': False,
        'n_candidates': 2,
        'n_duplicates': 0,
        'n_uncut': 0,
        'gamma_max': 12.0,
        'share_above_select': None,
        'temperatures': [300.0, 600.0],
        'trajectories': [*low, *high],
    }


def test_trajectories_that_never_started_have_no_grade():
    report = summarize_exploration(rung_00=orm.Dict({'trajectories': [run(300.0, reason='error', gamma_max=None)]}))
    assert report['gamma_max'] is None
    assert report['n_stopped'] == 1


def test_duplicates_are_counted_within_and_between_jobs(emt_frames):
    jobs = {
        'job_000': orm.Dict({'trajectories': [run(300.0, n_candidates=3)], 'n_duplicates': 2, 'n_uncut': 1}),
        'job_001': orm.Dict({'trajectories': [run(300.0, n_candidates=2)], 'n_duplicates': 0, 'n_uncut': 4}),
    }
    report = summarize_exploration(**jobs, candidates=FramesData(emt_frames(4, labelled=False)))
    assert (report['n_candidates'], report['n_duplicates'], report['n_uncut']) == (4, 3, 5)


def grades(frames, first):
    return orm.ArrayData({'gamma': first + np.arange(len(frames.numbers), dtype=float)})


def test_each_structure_is_kept_once_with_its_grades(emt_frames):
    old, new = emt_frames(3, labelled=False), emt_frames(4, labelled=False, seed=5)
    mixed = new.concatenate([old.take([1]), new])
    parts = {'job_001': FramesData(mixed), 'job_000': FramesData(old)}
    found = unique_candidates(**parts, grades_job_000=grades(old, 0.0), grades_job_001=grades(mixed, 1000.0))
    frames, gamma = found['candidates'].frames, found['candidate_grades'].get_array('gamma')
    assert frames.uid.tolist() == [*old.uid.tolist(), *new.uid.tolist()]
    assert len(gamma) == len(frames.numbers)
    n_old, skipped = len(old.numbers), int(old.counts[1])
    assert gamma[:n_old].tolist() == list(range(n_old))
    assert gamma[n_old] == 1000.0 + skipped


def test_without_grades_of_every_part_there_are_none(emt_frames):
    old, new = emt_frames(2, labelled=False), emt_frames(2, labelled=False, seed=5)
    found = unique_candidates(job_000=FramesData(old), job_001=FramesData(new), grades_job_000=grades(old, 0.0))
    assert set(found) == {'candidates'}
