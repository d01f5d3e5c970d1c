"""The loop for a GPU, run by PyTorch on the CPU: the same picks as the sampling without one, and when a GPU is taken."""

import numpy as np
import pytest
import torch

from aiida_mlip_autopipe.science.selection import fps_gpu
from aiida_mlip_autopipe.science.selection.fps import farthest_points
from aiida_mlip_autopipe.science.selection.fps_gpu import gpu_for, sample_on


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('block', [fps_gpu.BLOCK_VALUES, 700])
def test_same_picks_as_on_the_cpu(dtype, block, monkeypatch):
    monkeypatch.setattr(fps_gpu, 'BLOCK_VALUES', block)
    features = np.random.default_rng(0).normal(size=(500, 12)).astype(dtype)
    picks = farthest_points(features, 40)
    np.testing.assert_array_equal(sample_on('cpu', features, 40, features[:0], int(picks[0])), picks)


def test_warm_start():
    rng = np.random.default_rng(1)
    features, known = rng.normal(size=(300, 5)), rng.normal(size=(40, 5))
    np.testing.assert_array_equal(sample_on('cpu', features, 30, known, None), farthest_points(features, 30, known=known))


def test_ties_go_to_the_lowest_index_and_copies_are_taken_once_each():
    features = np.array([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [1.0, 1.0]])
    assert sample_on('cpu', features, 5, features[:0], 0).tolist() == [0, 2, 1, 3, 4]


def test_the_points_are_left_alone():
    features = np.random.default_rng(2).normal(size=(50, 4)).astype(np.float32)
    before = features.copy()
    sample_on('cpu', features, 20, features[:3], None)
    np.testing.assert_array_equal(features, before)


@pytest.mark.parametrize(
    ('has_torch', 'has_gpu', 'free', 'expected'),
    [(True, True, 10**12, 'cuda'), (True, True, 1000, None), (True, False, 0, None), (False, True, 10**12, None)],
)
def test_when_a_gpu_is_taken(monkeypatch, has_torch, has_gpu, free, expected):
    monkeypatch.setattr(fps_gpu.importlib.util, 'find_spec', lambda name: object() if has_torch else None)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda: (free, free))
    assert gpu_for(np.zeros((10, 3))) == expected
