import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.science.linear.posterior import POSTERIOR, Posterior
from tests import linear_data

NOISE = {'energy': 0.1, 'force': 0.02}
DRAWS = 4000
SAMPLING = 4 / np.sqrt(2 * DRAWS)
"""Four relative standard errors of the standard deviation of so many draws."""


@pytest.fixture(scope='module')
def frames():
    return linear_data.labelled_frames(4)


@pytest.fixture(scope='module')
def source():
    return linear_data.PairSource()


@pytest.fixture
def posterior():
    """A covariance with correlations, and one direction that is known exactly."""
    root = np.random.default_rng(0).normal(size=(8, 8)) * np.geomspace(1, 1e-3, 8)
    root[:, -1] = 0.0
    return Posterior(root, NOISE)


def test_the_spread_is_that_of_members_that_are_drawn(posterior, frames, source):
    members = posterior.draw(DRAWS, np.random.default_rng(1))
    assert members.shape == (DRAWS, 8)
    spread = posterior.spread(frames, source)
    for index, atoms in enumerate(frames):
        design = source.design(atoms)
        assert spread.energy[index] == pytest.approx(np.std(members @ design.energy), rel=SAMPLING)
        forces = (members @ design.forces.T).reshape(DRAWS, len(atoms), 3)
        expected = np.sqrt(forces.var(axis=0).sum(axis=1))
        np.testing.assert_allclose(spread.forces[frames.rows(index)], expected, rtol=SAMPLING)


def test_draws_scatter_with_the_covariance(posterior):
    members = posterior.draw(DRAWS, np.random.default_rng(2))
    covariance = posterior.root @ posterior.root.T
    np.testing.assert_allclose(np.cov(members.T), covariance, atol=0.1 * covariance.max())


def test_the_seed_decides(posterior):
    first, again, other = (posterior.draw(2, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_no_uncertainty_no_spread(frames, source):
    spread = Posterior(np.zeros((8, 8)), NOISE).spread(frames, source)
    assert not spread.energy.any()
    assert not spread.forces.any()


def test_what_was_saved_comes_back(posterior, tmp_path):
    posterior.save(tmp_path)
    back = Posterior.load(tmp_path)
    np.testing.assert_array_equal(back.root, posterior.root)
    assert back.noise == NOISE


@pytest.mark.parametrize('content', [None, b'', b'nothing', b'PK\x03\x04'])
def test_missing_or_broken(tmp_path, content):
    if content is not None:
        (tmp_path / POSTERIOR).write_bytes(content)
    with pytest.raises(FormatError, match='is not a posterior'):
        Posterior.load(tmp_path)


@pytest.mark.parametrize(
    'columns',
    [
        {'root': np.eye(3)},
        {'root': np.ones((2, 3)), 'noise': np.ones(2)},
        {'root': np.ones(3), 'noise': np.ones(2)},
        {'root': np.eye(3), 'noise': np.ones(3)},
        {'root': np.array([['a']]), 'noise': np.ones(2)},
    ],
)
def test_another_content(tmp_path, columns):
    with (tmp_path / POSTERIOR).open('wb') as handle:
        np.savez(handle, **columns)
    with pytest.raises(FormatError, match='is not a posterior'):
        Posterior.load(tmp_path)


def test_a_posterior_of_another_basis(frames, source):
    with pytest.raises(InputError, match='the posterior is of 7 coefficients, the rows need 8'):
        Posterior(np.eye(7), NOISE).spread(frames, source)
