"""Bases out of files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.ase.structure_files import NodeStructures, StructureFiles
from aiida_mlip_autopipe.science.generate.strategy import System


def system(*elements: str) -> System:
    return System(elements, 'fcc', (({elements[0]: 1.0},),), {}, ((1, 1, 1),))


def test_every_structure_on_every_supercell(tmp_path: Path) -> None:
    path = tmp_path / 'a.extxyz'
    write(path, [bulk('Cu'), bulk('Al')])
    strategy = StructureFiles(paths=(str(path),), supercells=((1, 1, 1), (2, 1, 1)))
    structures = list(strategy(system('Cu', 'Al'), np.random.default_rng(0)))
    assert [a.get_chemical_formula() for a in structures] == ['Cu', 'Cu2', 'Al', 'Al2']
    with pytest.raises(InputError, match=r"structure 1: has \['Al'\], which elements \['Cu'\] does not list"):
        list(strategy(system('Cu'), np.random.default_rng(0)))


def test_structures_of_nodes_are_named_by_their_uuid(tmp_path: Path) -> None:
    path = tmp_path / '1234-uuid.extxyz'
    write(path, bulk('Cu'))
    (atoms,) = NodeStructures(nodes=(str(path),), supercells=((2, 1, 1),))(system('Cu'), np.random.default_rng(0))
    assert json.loads(atoms.info['origin']) == {'strategy': 'structures', 'uuid': '1234-uuid', 'index': 0, 'supercell': [2, 1, 1]}
    assert atoms.info['config_type'] == 'structure'


def test_a_node_that_was_not_written() -> None:
    with pytest.raises(InputError, match='structures: node 17 is no file here'):
        list(NodeStructures(nodes=(17,))(system('Cu'), np.random.default_rng(0)))
