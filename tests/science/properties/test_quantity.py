"""How far a potential may be from the reference."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.properties.quantity import Limit, Result, stress_of


@pytest.mark.parametrize(('limit', 'reference', 'allowed'), [(Limit(0.1), -50, 5), (Limit(0, 2), -50, 2), (Limit(0.1, 2), 5, 2)])
def test_the_larger_limit_counts(limit: Limit, reference: float, allowed: float) -> None:
    assert limit.allowed(reference) == pytest.approx(allowed)


def test_a_missing_stress_is_told() -> None:
    found = {'a': Result(bulk('Cu'), 0.0, np.zeros((1, 3)), np.arange(6.0)), 'b': Result(bulk('Cu'), 0.0, np.zeros((1, 3)), None)}
    assert stress_of(found, 'a')[5] == 5
    with pytest.raises(InputError, match='the structure b has no stress'):
        stress_of(found, 'b')
