import pytest
from ase import Atoms

from aiida_mlip_autopipe.science.md.pool import POOL, CandidatePool, best_of


def frame(step, gamma):
    atoms = Atoms('Cu')
    atoms.info.update(step=step, gamma_max=gamma)
    return atoms


def steps_of(frames):
    return [f.info['step'] for f in frames]


def test_each_stretch_of_time_gives_its_highest_grade():
    frames = [frame(10 * i, 2.0 + (i % 5 == 3)) for i in range(20)]
    assert steps_of(best_of(frames, 4)) == [30, 80, 130, 180]


def test_places_of_empty_stretches_go_to_the_highest_grades():
    frames = [*(frame(i, 2.0 + i) for i in range(9)), frame(1000, 2.0)]
    assert steps_of(best_of(frames, 4)) == [6, 7, 8, 1000]


@pytest.mark.parametrize(('limit', 'steps'), [(0, []), (2, [0, 1]), (5, [0, 1])])
def test_few_frames_stay_as_they_are(limit, steps):
    assert steps_of(best_of([frame(0, 2.0), frame(1, 3.0)], limit)) == steps


def test_the_pool_stays_bounded_and_keeps_the_newest():
    pool = CandidatePool(3)
    thinned = [pool.add(frame(step, 2.0 + step % 7)) for step in range(200)]
    assert len(pool.frames) <= POOL * 3
    assert pool.n_seen == 200
    assert sum(thinned) > 1
    assert not any(thinned[: POOL * 3])
    chosen = steps_of(pool.chosen())
    assert len(chosen) == 3
    assert chosen == sorted(chosen)
    assert chosen[-1] == 199


def test_the_last_frame_is_chosen_whatever_its_grade():
    pool = CandidatePool(1)
    for step, gamma in ((0, 9.0), (1, 3.0), (2, 2.1)):
        pool.add(frame(step, gamma))
    assert steps_of(pool.chosen()) == [2]
