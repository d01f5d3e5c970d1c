"""Surface energies."""

from __future__ import annotations

import numpy as np
import pytest
from ase import units
from ase.build import fcc100, fcc111
from ase.calculators.emt import EMT

from aiida_mlip_autopipe.science.properties.quantity import Quantity
from aiida_mlip_autopipe.science.properties.surface import BULK, SurfaceProperty
from tests.science.properties.crystals import at_rest, copper, measured

ASKED = SurfaceProperty(millers=[(1, 1, 1), (1, 0, 0)], layers=4, vacuum=10.0, error=0.1)


@pytest.mark.parametrize(('name', 'make'), [('E_surface(1 1 1)', fcc111), ('E_surface(1 0 0)', fcc100)])
def test_slabs_of_ase_cost_the_same(name: str, make) -> None:
    crystal = at_rest(copper())
    a = (4 * crystal.volume) ** (1 / 3)
    slab, bulk = make('Cu', (1, 1, 12), a=a, vacuum=8.0), crystal.atoms.copy()
    slab.calc, bulk.calc = EMT(), EMT()
    area = np.linalg.norm(np.cross(*slab.cell.array[:2]))
    expected = (slab.get_potential_energy() - 12 * bulk.get_potential_energy()) / (2 * area) / (units.J / units.m**2)
    assert measured(ASKED, crystal)[name] == pytest.approx(expected, abs=1e-3)


def test_the_close_packed_surface_is_the_cheapest() -> None:
    found = measured(ASKED, at_rest(copper()))
    assert 0.5 < found['E_surface(1 1 1)'] < found['E_surface(1 0 0)'] < 2.0


def test_parts() -> None:
    frames = ASKED.frames(copper())
    assert list(frames) == [BULK, '(1 1 1)', '(1 0 0)']
    assert all(atoms.pbc.all() for atoms in frames.values()), 'pw.x needs a cell'
    heights = frames['(1 0 0)'].positions[:, 2]
    assert frames['(1 0 0)'].cell[2, 2] - np.ptp(heights) == pytest.approx(10.0)


def test_the_limit_is_absolute() -> None:
    assert ASKED.limit(Quantity('E_surface(1 1 1)', 1.0, 'J/m²')).allowed(3.0) == 0.1
