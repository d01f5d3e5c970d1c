"""The finite strains from whose stresses all elastic constants follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.strain import VOIGT, strained
from aiida_mlip_autopipe.science.generate.strategy import Kind

CONFIG_TYPE = 'elastic'


@dataclass(frozen=True)
class Elastic:
    """Each of the six Voigt components alone, at each size and its negative: central differences of the stress.

    :param sizes: sizes η of the engineering strain, dimensionless; an off-diagonal component of the tensor is η / 2.
    :raises InputError: a size is out of range.
    """

    KIND: ClassVar[Kind] = Kind.FIXED

    sizes: tuple[float, ...] = (0.005, 0.01)

    def __post_init__(self) -> None:
        """Refuse what is no finite difference."""
        if not self.sizes or not all(0.0 < size < 0.3 for size in self.sizes):
            raise InputError(f'elastic: sizes must lie in 0..0.3, got {list(self.sizes)}')

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield 12 structures for each size."""
        for size in self.sizes:
            for index, name in enumerate(VOIGT):
                for sign in (1.0, -1.0):
                    components = np.zeros(6)
                    components[index] = sign * size * (1.0 if index < 3 else 0.5)
                    yield strained(given, components, name, CONFIG_TYPE)
