"""Sites of the primitive cells, against ASE's own lattices and the builder's table."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.prototypes import SITES_PER_CELL
from aiida_mlip_autopipe.science.generate.bases import PROTOTYPES, lattice_site_count


@pytest.mark.parametrize('prototype', SITES_PER_CELL)
def test_sites_are_those_of_ase(prototype: str) -> None:
    assert len(bulk('X', prototype, a=4.0)) == SITES_PER_CELL[prototype]


@pytest.mark.parametrize('prototype', SITES_PER_CELL)
def test_builder_counts_alike(prototype: str) -> None:
    assert lattice_site_count(prototype, (2, 3, 1)) == 6 * SITES_PER_CELL[prototype]


def test_builder_knows_the_same_names() -> None:
    assert set(PROTOTYPES) == set(SITES_PER_CELL)


def test_table_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        cast('Any', SITES_PER_CELL)['fcc'] = 4
