import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiida_mlip_autopipe.science.batches import equal_batches

COSTS = st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=1, max_size=60)
ROUNDING = 1e-9


@given(COSTS, st.integers(1, 10), st.integers(1, 70))
def test_every_frame_once_in_jobs_of_allowed_size(costs, n_jobs, max_frames):
    jobs = equal_batches(costs, n_jobs=n_jobs, max_frames=max_frames)
    assert sorted(index for job in jobs for index in job) == list(range(len(costs)))
    assert all(0 < len(job) <= max_frames for job in jobs)
    assert len(jobs) == min(max(n_jobs, math.ceil(len(costs) / max_frames)), len(costs))


@given(COSTS, st.integers(1, 10))
def test_the_longest_job_is_within_grahams_bound(costs, n_jobs):
    loads = [sum(costs[index] for index in job) for job in equal_batches(costs, n_jobs=n_jobs, max_frames=len(costs))]
    # Every list schedule: the longest job <= the mean load + (1 - 1/m) of the dearest frame (Graham 1969).
    assert max(loads) <= (sum(costs) / n_jobs + (1 - 1 / n_jobs) * max(costs)) * (1 + ROUNDING)


@given(COSTS, st.integers(1, 10))
def test_the_dearest_comes_first_in_a_job(costs, n_jobs):
    for job in equal_batches(costs, n_jobs=n_jobs, max_frames=len(costs)):
        assert [costs[index] for index in job] == sorted((costs[index] for index in job), reverse=True)


@pytest.mark.parametrize(
    ('costs', 'jobs'),
    [
        ([], []),
        ([1.0], [[0]]),
        ([1.0, 1.0, 1.0, 1.0], [[0, 2], [1, 3]]),
        ([5.0, 1.0, 1.0, 1.0, 2.0], [[0], [4, 1, 2, 3]]),
    ],
)
def test_known_answers(costs, jobs):
    assert equal_batches(costs, n_jobs=2, max_frames=10) == jobs
