"""The set of finite strains."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from aiida_mlip_autopipe.science.generate.elastic import Elastic
from tests.science.generate.parents import cell_of_alloy, made, strain_of


def test_elastic_set_is_six_pairs_of_opposite_strains() -> None:
    atoms = cell_of_alloy()
    found = np.array([strain_of(atoms, a) for a in made(Elastic(sizes=(0.01,)), atoms)])
    np.testing.assert_allclose(found[0::2], -found[1::2], atol=1e-12)
    np.testing.assert_allclose(found[0::2], np.diag([0.01] * 3 + [0.005] * 3), atol=1e-12)


def test_out_of_range() -> None:
    with pytest.raises(ValidationError, match='sizes'):
        Elastic(sizes=())
