"""Sizes of atoms and what is estimated from them."""

from __future__ import annotations

import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.radii import estimated_parameter


@pytest.mark.parametrize(
    ('prototype', 'elements', 'a'),
    [('fcc', ['Al'], 4.05), ('bcc', ['W'], 3.165), ('hcp', ['Mg'], 3.21), ('B1', ['Mg', 'O'], 4.21), ('diamond', ['Si'], 5.43)],
)
def test_estimated_parameters_are_near_those_measured(prototype: str, elements: list[str], a: float) -> None:
    assert estimated_parameter(prototype, elements) == pytest.approx(a, rel=0.06)


def test_an_element_without_radius() -> None:
    with pytest.raises(InputError, match="'Rf' is unknown to the table of radii"):
        estimated_parameter('B1', ['Rf', 'O'])
