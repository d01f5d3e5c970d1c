"""The finite strains from whose stresses all elastic constants follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np
from ase import Atoms
from pydantic import Field

from aiida_mlip_autopipe.common.ranges import Spread
from aiida_mlip_autopipe.science.generate.strain import VOIGT, strained
from aiida_mlip_autopipe.science.generate.strategy import OF, Kind, Of, Strategy

CONFIG_TYPE = 'elastic'

ElasticSize = Annotated[float, Field(gt=0, lt=0.3)]


class Elastic(Strategy):
    """Each of the six Voigt components alone, at each size and its negative: central differences of the stress."""

    KIND: ClassVar[Kind] = Kind.FIXED
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    ORDER = 103

    sizes: Annotated[tuple[ElasticSize, ...], Spread] = Field(
        default=(0.005, 0.01), min_length=1, description='engineering strains, dimensionless'
    )
    of: Of = Field(default=None, description=OF)

    def at_least(self, n_parents: int) -> int:
        """Return one for each size and base: symmetry may make all others of a size alike."""
        return 0 if self.of else n_parents * len(self.sizes)

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, given: Atoms, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield 12 structures for each size."""
        for size in self.sizes:
            for index, name in enumerate(VOIGT):
                for sign in (1.0, -1.0):
                    components = np.zeros(6)
                    components[index] = sign * size * (1.0 if index < 3 else 0.5)
                    yield strained(given, components, name, CONFIG_TYPE)
