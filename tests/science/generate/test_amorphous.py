"""Random packings."""

from __future__ import annotations

import pytest
from ase.neighborlist import neighbor_list
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.amorphous import Amorphous
from tests.science.generate.parents import ALLOY, made, told


def test_amorphous_atoms_keep_apart_at_the_density() -> None:
    for atoms in made(Amorphous(count=2, n_atoms=32, densities=(0.9, 1.0), min_distance=0.75), ALLOY):
        assert atoms.symbols.formula.count() == {'Al': 24, 'Mg': 8}
        assert neighbor_list('d', atoms, 3.0).min() >= 0.75 * 2 * 1.21 - 1e-9
        crystal = (0.75 * 4.05 + 0.25 * 4.5) ** 3 / 4
        assert atoms.get_volume() / 32 == pytest.approx(crystal / told(atoms)['density'], rel=1e-5)
    with pytest.raises(InputError, match=r'cannot be kept 1\.4 times'):
        made(Amorphous(count=1, n_atoms=32, densities=(1.0, 1.0), min_distance=1.4), ALLOY)


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='n_atoms'):
        Amorphous(n_atoms=1)
