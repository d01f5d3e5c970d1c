"""Interstitials: elements and sites."""

from __future__ import annotations

from typing import Any

import pytest
from ase.build import bulk
from pydantic import ValidationError

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.interstitial import Interstitials
from tests.science.generate.parents import made


def test_interstitials_add_one_atom_of_each_element_at_each_site() -> None:
    structures = made(Interstitials(count=10, elements=('H', 'C')), bulk('Al', 'fcc', a=4.05, cubic=True))
    added = [a.symbols.formula.count() for a in structures]
    assert added == [{'Al': 4, 'H': 1}, {'Al': 4, 'C': 1}] * 2
    with pytest.raises(InputError, match=r'no 1 site\(s\) at least 9'):
        made(Interstitials(count=1, min_distance=9.0), bulk('Al'))


@pytest.mark.parametrize(('settings', 'said'), [({'count': -1}, 'count'), ({'count': 1, 'elements': ('Qq',)}, "'Qq'")])
def test_out_of_range(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Interstitials(**settings)
