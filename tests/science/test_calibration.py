import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.calibration import LEAST, Calibration, energy_calibration, force_calibration
from aiida_mlip_autopipe.science.linear.fit import fit_rows, folds_of, gather
from aiida_mlip_autopipe.science.linear.settings import LinearSettings
from tests import linear_data, pod_data

NOISE = 0.05
COUNT = 400


def gaussian(known, factor=1.0):
    """Return whether a calibration is that of a Gaussian whose width was stated too small by `factor`."""
    from scipy.stats import norm  # noqa: PLC0415

    shares = [2 * norm.cdf(limit / factor) - 1 for limit in (1, 2)]
    tolerance = 4 * 0.5 / np.sqrt(known.count)
    return known.rms == pytest.approx(factor, rel=4 / np.sqrt(2 * known.count)) and [known.within_one, known.within_two] == [
        pytest.approx(share, abs=tolerance) for share in shares
    ]


@pytest.fixture(scope='module')
def frames():
    """Cells of 1 to 8 atoms."""
    rng = np.random.default_rng(0)
    cells = [pod_data.alloy(rng, 0.5)[: 1 + index % 8] for index in range(COUNT)]
    n_atoms = sum(len(cell) for cell in cells)
    return Frames.from_atoms(cells).replace(
        energy=np.zeros(COUNT), forces=np.zeros((n_atoms, 3)), labelled=True, stress=np.zeros((COUNT, 6)), has_stress=True
    )


@pytest.mark.parametrize('factor', [1.0, 3.0])
def test_energies(frames, factor):
    """The noise of a cell of N atoms is √N times that of E/√N; the spread of the coefficients adds to it."""
    rng = np.random.default_rng(1)
    spread = rng.uniform(0, 0.3, COUNT)
    energy = factor * np.sqrt(spread**2 + NOISE**2 * frames.counts) * rng.normal(size=COUNT)
    assert gaussian(energy_calibration(frames, energy, spread, NOISE), factor)


@pytest.mark.parametrize('factor', [1.0, 0.5])
def test_forces(frames, factor):
    """The spread is that of the vector, so each component has a third of its variance."""
    rng = np.random.default_rng(2)
    spread = rng.uniform(0, 0.3, len(frames.numbers))
    width = np.sqrt(spread**2 / 3 + NOISE**2)[:, None]
    found = force_calibration(frames, factor * width * rng.normal(size=frames.forces.shape), spread, NOISE)
    assert found.count == 3 * len(frames.numbers)
    assert gaussian(found, factor)


def test_frames_without_labels_do_not_count(frames):
    known = np.arange(COUNT) < 10
    some = frames.replace(labelled=known, has_stress=known)
    energy = np.where(known, 0.01, 1e6)
    assert energy_calibration(some, energy, np.full(COUNT, 0.02), 0.0) == Calibration(0.5, 1.0, 1.0, 10)
    n_known = int(frames.counts[:10].sum())
    assert force_calibration(some, np.zeros_like(frames.forces), np.ones(len(frames.numbers)), 0.1).count == 3 * n_known


def test_atoms_whose_force_symmetry_makes_zero_do_not_count(frames):
    """They would say that the potential is too modest: error 0 where 0.05 eV/Å of noise is stated."""
    n_atoms = len(frames.numbers)
    spread = np.where(np.arange(n_atoms) % 2, 0.1, 1e-9)
    forces = np.where(spread[:, None] > 0.05, 0.3, 0.0) * np.ones((n_atoms, 3))
    found = force_calibration(frames, forces, spread, 0.0)
    assert found.count == 3 * (n_atoms // 2)
    assert found.rms == pytest.approx(0.3 / (0.1 / np.sqrt(3)))
    assert force_calibration(frames, np.zeros((n_atoms, 3)), np.zeros(n_atoms), 0.1) == Calibration(0.0, 1.0, 1.0, 0)


def test_an_error_without_any_uncertainty_is_as_large_as_can_be(frames):
    found = energy_calibration(frames, np.ones(COUNT), np.zeros(COUNT), 0.0)
    assert found.rms == pytest.approx(1 / LEAST)
    assert (found.within_one, found.within_two) == (0.0, 0.0)


def test_no_error_without_uncertainty_is_right(frames):
    assert energy_calibration(frames, np.zeros(COUNT), np.zeros(COUNT), 0.0) == Calibration(0.0, 1.0, 1.0, COUNT)


def test_a_fit_to_data_of_known_noise_is_calibrated_on_fresh_frames():
    """Labels are a linear model of the same basis with Gaussian noise: 1, 0.68, 0.95 on frames that were not fitted."""
    train, test = linear_data.labelled_frames(30, 0), linear_data.labelled_frames(60, 1)
    settings = LinearSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, energy_weight=None)
    source = linear_data.PairSource()
    fit = fit_rows(gather(train, linear_data.BASE, source, settings, folds_of(train, 0)[0]), settings)
    posterior = fit.posterior()
    spread, designs = posterior.spread(test, source), [source.design(atoms) for atoms in test]
    energy = np.array([design.energy @ fit.coefficients + linear_data.BASE[design.types].sum() for design in designs])
    forces = np.concatenate([(design.forces @ fit.coefficients).reshape(-1, 3) for design in designs])
    found = force_calibration(test, forces, spread.forces, posterior.noise['force'])
    assert (found.rms, found.within_one, found.within_two) == pytest.approx((1.0, 0.683, 0.954), abs=0.1)
    found = energy_calibration(test, energy, spread.energy, posterior.noise['energy'])
    assert (found.rms, found.within_one, found.within_two) == pytest.approx((1.0, 0.683, 0.954), abs=0.3)
