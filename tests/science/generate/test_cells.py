"""Crystals written out in the configuration."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.cells import Cells
from aiida_mlip_autopipe.science.generate.strategy import System
from tests.config.settings import config_with, mistakes_in

CRYSTAL: dict[str, Any] = {
    'name': 'mp-1487',
    'symbols': ['Al', 'Ni'],
    'cell': [[2.9, 0, 0], [0, 2.9, 0], [0, 0, 2.9]],
    'scaled_positions': [[0, 0, 0], [0.5, 0.5, 0.5]],
}


def system(*elements: str) -> System:
    return System(elements, 'fcc', (({elements[0]: 1.0},),), {}, ((1, 1, 1),))


def test_each_on_each_supercell() -> None:
    strategy = Cells(cells=(CRYSTAL,), supercells=((1, 1, 1), (2, 1, 1)))
    one, two = strategy(system('Al', 'Ni'), np.random.default_rng(0))
    assert (one.get_chemical_formula(), two.get_chemical_formula()) == ('AlNi', 'Al2Ni2')
    assert one.get_distance(0, 1) == pytest.approx(2.9 * np.sqrt(0.75))
    assert json.loads(two.info['origin']) == {'strategy': 'cells', 'name': 'mp-1487', 'index': 0, 'supercell': [2, 1, 1]}


def test_an_element_that_is_not_listed() -> None:
    with pytest.raises(InputError, match=r"crystal 0: has \['Ni'\], which elements \['Al'\] does not list"):
        list(Cells(cells=(CRYSTAL,))(system('Al'), np.random.default_rng(0)))


def test_a_configuration_with_cells() -> None:
    crystal = {**CRYSTAL, 'symbols': ['Cu', 'Au']}
    plan = config_with({'generate.cells': {'cells': [crystal]}}).generate.plan
    assert (plan['cells'].cells[0].name, plan['cells'].at_least(1)) == ('mp-1487', 1)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'symbols': ['Cu']}, 'symbols are 1, scaled_positions are 2'),
        ({'cell': [[1, 0, 0], [1, 0, 0], [0, 0, 1]]}, 'cell has no volume'),
        ({'symbols': ['Cu', 'Qq']}, "'Qq'; not the symbol of a chemical element"),
    ],
)
def test_no_crystal(change: dict[str, Any], said: str) -> None:
    (line,) = mistakes_in({'generate.cells': {'cells': [{**CRYSTAL, 'symbols': ['Cu', 'Au'], **change}]}})
    assert 'generate.cells.cells.0' in line
    assert said in line
