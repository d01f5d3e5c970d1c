"""Equilibria of curves that are known."""

from __future__ import annotations

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.science.properties.eos import EosProperty, equilibrium
from tests.science.properties.crystals import REST, copper, measured, results

VOLUME, ENERGY, MODULUS, SLOPE = 16.4, -3.7, 75.0 * GPA, 4.6
"""Å³/atom, eV/atom, eV/Å³, and the pressure derivative of the modulus."""


def birch_murnaghan(volumes: np.ndarray) -> np.ndarray:
    """Return F. Birch, Phys. Rev. 71, 809 (1947): E = E0 + 9 V0 B0 / 16 ((η² - 1)³ B' + (η² - 1)² (6 - 4 η²)), η³ = V0 / V."""
    x = (VOLUME / volumes) ** (2 / 3)
    return ENERGY + 9 * VOLUME * MODULUS / 16 * ((x - 1) ** 3 * SLOPE + (x - 1) ** 2 * (6 - 4 * x))


@pytest.mark.parametrize('centre', [15.9, 16.4, 17.0])
def test_an_analytic_curve(centre: float) -> None:
    volumes = centre * np.linspace(0.9, 1.1, 9)
    found = equilibrium(volumes, birch_murnaghan(volumes))
    assert found.volume == pytest.approx(VOLUME, rel=1e-6)
    assert found.energy == pytest.approx(ENERGY, abs=1e-8)
    assert found.modulus == pytest.approx(MODULUS, rel=1e-5)


def test_the_order_does_not_matter() -> None:
    volumes = np.array([17.0, 15.5, 16.4, 16.0, 16.9, 15.0])
    assert equilibrium(volumes, birch_murnaghan(volumes)).volume == pytest.approx(VOLUME, rel=1e-6)


def test_a_minimum_outside_is_none() -> None:
    volumes = np.linspace(17.0, 19.0, 7)
    with pytest.raises(InputError, match=r'no minimum between 17\.00 and 19\.00 Å³/atom: it is lowest at an end, 17\.00'):
        equilibrium(volumes, birch_murnaghan(volumes))


def test_copper_by_emt() -> None:
    found = measured(REST, copper())
    # K. W. Jacobsen, P. Stoltze, J. K. Nørskov, Surf. Sci. 366, 394 (1996): B = 134 GPa, a = 3.59 Å with ASE's cutoff.
    assert found['V0'] == pytest.approx(3.59**3 / 4, rel=0.002)
    assert found['B0'] == pytest.approx(134.0, abs=1.0)


def test_parts_are_volumes() -> None:
    frames = EosProperty(volumes=(0.9, 1.1), count=5).frames(copper())
    assert list(frames) == ['volume 0.9', 'volume 0.95', 'volume 1', 'volume 1.05', 'volume 1.1']
    assert [atoms.cell.volume / copper().volume for atoms in frames.values()] == pytest.approx([0.9, 0.95, 1, 1.05, 1.1])


def test_limits_are_relative() -> None:
    asked = EosProperty(volumes=(0.9, 1.1), count=5, modulus_error=0.2)
    volume, modulus = asked.quantities(copper(), results(asked.frames(copper())))
    assert asked.limit(volume).allowed(12.0) == pytest.approx(0.12)
    assert asked.limit(modulus).allowed(-100.0) == pytest.approx(20.0)
