"""JSON of the Materials Project and of pymatgen, as pymatgen writes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.formats.materials_project import crystals_of
from aiida_mlip_autopipe.formats.structures import read_structures

ROCKSALT: dict[str, Any] = {
    '@module': 'pymatgen.core.structure',
    '@class': 'Structure',
    'charge': 0,
    'lattice': {'matrix': [[0.0, 2.1, 2.1], [2.1, 0.0, 2.1], [2.1, 2.1, 0.0]], 'pbc': [True, True, True]},
    'sites': [
        {'species': [{'element': 'Mg2+', 'occu': 1}], 'abc': [0.0, 0.0, 0.0], 'label': 'Mg'},
        {'species': [{'element': 'O2-', 'occu': 1}], 'abc': [0.5, 0.5, 0.5], 'label': 'O'},
    ],
}
ENTRY = {'material_id': 'mp-1265', 'formula_pretty': 'MgO', 'structure': ROCKSALT}


@pytest.mark.parametrize('value', [ROCKSALT, ENTRY, [ENTRY], {'data': [ENTRY]}, {'response': [ROCKSALT]}])
def test_a_crystal_in_each_wrapping(tmp_path: Path, value: Any) -> None:
    path = tmp_path / 'mp.json'
    path.write_text(json.dumps(value), encoding='utf-8')
    (atoms,) = read_structures(path)
    assert atoms.get_chemical_symbols() == ['Mg', 'O']
    assert atoms.pbc.all()
    assert atoms.get_distance(0, 1, mic=True) == pytest.approx(2.1)


def test_as_pymatgen_writes_it(tmp_path: Path) -> None:
    core = pytest.importorskip('pymatgen.core')
    theirs = core.Structure.from_spacegroup('Pm-3m', core.Lattice.cubic(3.57), ['Ni', 'Al'], [[0.5, 0.5, 0], [0, 0, 0]])
    path = tmp_path / 'ni3al.json'
    path.write_text(json.dumps([theirs.as_dict()]), encoding='utf-8')
    (atoms,) = read_structures(path)
    assert atoms.symbols.formula.count() == {'Ni': 3, 'Al': 1}
    np.testing.assert_allclose(atoms.positions, theirs.cart_coords, atol=1e-9)


def test_other_json_is_left_to_ase(tmp_path: Path) -> None:
    write(tmp_path / 'a.json', bulk('Cu'))
    (atoms,) = read_structures(tmp_path / 'a.json')
    assert atoms.get_chemical_formula() == 'Cu'
    assert crystals_of({'x': 1}) is crystals_of([1]) is crystals_of([]) is crystals_of('text') is None


def test_a_shared_site() -> None:
    site = {'species': [{'element': 'Mg', 'occu': 0.5}, {'element': 'Ca', 'occu': 0.5}], 'abc': [0, 0, 0]}
    with pytest.raises(FormatError, match=r"crystal 0: a site is shared by \['Mg', 'Ca'\]"):
        crystals_of({**ROCKSALT, 'sites': [site]})


def test_a_site_without_place() -> None:
    with pytest.raises(FormatError, match=r"crystal 1: is no structure of pymatgen \(KeyError: 'abc'\)"):
        crystals_of([ROCKSALT, {**ROCKSALT, 'sites': [{'species': [{'element': 'Mg'}]}]}])
