"""Rattled structures: the width of the displacements, no drift, seeds and refusals."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.ideal_lattices import parent_lattice
from aiida_mlip_autopipe.science.generate.rattle import Rattle, debye_stdev, einstein_stdev


def lattice(supercell=(2, 2, 2)) -> Atoms:
    return parent_lattice('fcc', {'Al': 1.0}, {'Al': 4.05}, supercell)


def test_standard_deviation_and_mean():
    atoms = lattice((8, 8, 8))
    (rattled,) = Rattle(count=1, stdev=0.1)(atoms, np.random.default_rng(0))
    moved = rattled.positions - atoms.positions
    assert moved.std() == pytest.approx(0.1, rel=0.05)
    np.testing.assert_allclose(moved.mean(axis=0), 0.0, atol=1e-12)


def test_cell_numbers_and_metadata():
    atoms = lattice()
    (rattled,) = Rattle(count=1, stdev=0.1)(atoms, np.random.default_rng(0))
    np.testing.assert_array_equal(rattled.cell.array, atoms.cell.array)
    np.testing.assert_array_equal(rattled.numbers, atoms.numbers)
    assert rattled.pbc.all()
    assert rattled.info['config_type'] == 'rattle'
    assert json.loads(rattled.info['origin']) == {'strategy': 'rattle', 'stdev': 0.1}


def test_single_atom_stays():
    atoms = lattice((1, 1, 1))
    (rattled,) = Rattle(count=1, stdev=0.3)(atoms, np.random.default_rng(0))
    assert uid_of(rattled) == uid_of(atoms)


def test_number_and_seed():
    atoms = lattice()
    runs = [[uid_of(a) for a in Rattle(count=4, stdev=0.1)(atoms, np.random.default_rng(seed))] for seed in (1, 1, 2)]
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 4
    assert not set(runs[0]) & set(runs[2])
    assert list(Rattle(count=0, stdev=0.1)(atoms, np.random.default_rng(0))) == []


def test_nothing_is_shared():
    atoms = lattice()
    before = atoms.copy()
    (rattled,) = Rattle(count=1, stdev=0.1)(atoms, np.random.default_rng(0))
    rattled.numbers[:] = 12
    rattled.cell[0, 0] = 99.0
    assert atoms == before
    assert atoms.info == {}


def test_displacements_follow_a_translation():
    atoms = lattice()
    shifted = atoms.copy()
    shifted.positions += [0.3, -0.2, 0.1]
    (one,) = Rattle(count=1, stdev=0.1)(atoms, np.random.default_rng(4))
    (other,) = Rattle(count=1, stdev=0.1)(shifted, np.random.default_rng(4))
    np.testing.assert_allclose(other.positions - shifted.positions, one.positions - atoms.positions, atol=1e-12)


@pytest.mark.parametrize('wrong', [{'count': -1}, {'stdev': -0.1}, {'stdev': float('nan')}])
def test_out_of_range(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Rattle(**wrong)


class TestWidths:
    """Widths by element and by temperature, and a minimum distance."""

    def test_each_element_has_its_own_width(self) -> None:
        atoms = bulk('Al', a=4.05).repeat((10, 10, 10))
        atoms.numbers[::2] = 12
        (rattled,) = Rattle(count=1, stdev=0.1, stdev_by_element={'Mg': 0.02})(atoms, np.random.default_rng(0))
        moved = rattled.positions - atoms.positions
        assert moved[atoms.numbers == 13].std() == pytest.approx(0.1, rel=0.05)
        assert moved[atoms.numbers == 12].std() == pytest.approx(0.02, rel=0.05)

    def test_debye_amplitude_of_copper(self) -> None:
        # B = 8 π² σ² = 0.55 Å² at 295 K for θ = 315 K (International Tables C: 0.54 to 0.57)
        assert 8 * np.pi**2 * debye_stdev(63.55, 295.0, 315.0) ** 2 == pytest.approx(0.55, abs=0.03)
        assert debye_stdev(63.55, 0.0, 315.0) > 0

    def test_einstein_amplitude_in_its_limits(self) -> None:
        # classical: σ² = k T / (m ω²); zero-point: σ² = ħ / (2 m ω), with ω = k θ / ħ; copper, θ = 240 K
        hbar, k, mass = 1.054571817e-34, 1.380649e-23, 63.55 * 1.66053907e-27
        omega = k * 240.0 / hbar
        assert einstein_stdev(63.55, 2400.0, 240.0) ** 2 == pytest.approx(k * 2400.0 / (mass * omega**2) * 1e20, rel=1e-3)
        assert einstein_stdev(63.55, 0.0, 240.0) ** 2 == pytest.approx(hbar / (2 * mass * omega) * 1e20, rel=1e-6)
        assert einstein_stdev(63.55, 1e-3, 240.0) == pytest.approx(einstein_stdev(63.55, 0.0, 240.0))

    def test_the_models_agree_when_hot(self) -> None:
        # σ² = 3 ħ² T / (m k θ_D²) and ħ² T / (m k θ_E²): equal for θ_E = θ_D / √3
        assert einstein_stdev(63.55, 3000.0, 315.0 / np.sqrt(3)) == pytest.approx(debye_stdev(63.55, 3000.0, 315.0), rel=2e-3)

    def test_einstein_needs_a_temperature(self) -> None:
        with pytest.raises(ValidationError, match='temperature must be given with einstein_temperature'):
            Rattle(count=1, stdev=0.1, einstein_temperature=200.0)

    def test_no_pair_below_the_limit(self) -> None:
        atoms = bulk('Al', a=4.05).repeat((3, 3, 3))
        for rattled in Rattle(count=3, stdev=0.25, min_distance=2.3)(atoms, np.random.default_rng(0)):
            assert neighbor_list('d', rattled, 3.0).min() >= 2.3

    def test_a_limit_that_cannot_be_met(self) -> None:
        with pytest.raises(InputError, match=r'do not keep the atoms of .* 2\.86 Å apart'):
            Rattle(count=1, stdev=0.4, min_distance=2.86).one(bulk('Al', a=4.05).repeat((3, 3, 3)), np.random.default_rng(0))
