"""Crystal prototypes by name: primitive cell, sites, and the sublattice of each site."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

Vector = tuple[float, float, float]

PrototypeName = Literal[
    'fcc', 'bcc', 'sc', 'hcp', 'diamond', 'B1', 'B2', 'B3', 'B4', 'C1', 'D0_3', 'D0_19', 'D0_22', 'E2_1', 'L1_0', 'L1_2'
]  # fmt: skip

_FCC: Final = ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0))
_BCC: Final = ((-0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.5, 0.5, -0.5))
_CUBE: Final = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_HCP: Final = ((1.0, 0.0, 0.0), (-0.5, 0.75**0.5, 0.0), (0.0, 0.0, (8 / 3) ** 0.5))


@dataclass(frozen=True)
class Prototype:
    """An ideal crystal.

    :param cell: primitive lattice vectors as rows, in units of a; hcp with the ideal c/a.
    :param sites: scaled positions.
    :param sublattices: index of the sublattice of each site, from 0.
    :param contact: sublattices whose nearest atoms touch, and their distance in units of a; None for a close-packed metal,
        which is sized by the volumes of its elements.
    """

    cell: tuple[Vector, Vector, Vector]
    sites: tuple[Vector, ...]
    sublattices: tuple[int, ...]
    contact: tuple[int, int, float] | None = None

    @property
    def is_cubic(self) -> bool:
        """Whether a cube of edge a is a cell of the lattice."""
        return bool(np.allclose(inverse := np.linalg.inv(np.array(self.cell)), np.rint(inverse), atol=1e-9))

    @property
    def n_sublattices(self) -> int:
        """Number of sublattices."""
        return max(self.sublattices) + 1


_BCT: Final = ((-0.5, 0.5, 1.0), (0.5, -0.5, 1.0), (0.5, 0.5, -1.0))
_HCP_OF_2A: Final = ((1.0, 0.0, 0.0), (-0.5, 0.75**0.5, 0.0), (0.0, 0.0, (2 / 3) ** 0.5))
_HALF: Final = (0.5, 0.5, 0.5)
_QUARTER: Final = (0.25, 0.25, 0.25)
_THREE_QUARTERS: Final = (0.75, 0.75, 0.75)
_ORIGIN: Final = (0.0, 0.0, 0.0)
_FACES: Final = ((0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5))

PROTOTYPES: Final[Mapping[str, Prototype]] = MappingProxyType(
    {
        'fcc': Prototype(_FCC, (_ORIGIN,), (0,)),
        'bcc': Prototype(_BCC, (_ORIGIN,), (0,)),
        'sc': Prototype(_CUBE, (_ORIGIN,), (0,), (0, 0, 1.0)),
        'hcp': Prototype(_HCP, (_ORIGIN, (1 / 3, 2 / 3, 0.5)), (0, 0)),
        'diamond': Prototype(_FCC, (_ORIGIN, _QUARTER), (0, 0), (0, 0, 0.1875**0.5)),
        'B1': Prototype(_FCC, (_ORIGIN, _HALF), (0, 1), (0, 1, 0.5)),
        'B2': Prototype(_CUBE, (_ORIGIN, _HALF), (0, 1)),
        'B3': Prototype(_FCC, (_ORIGIN, _QUARTER), (0, 1), (0, 1, 0.1875**0.5)),
        'B4': Prototype(
            _HCP,
            ((1 / 3, 2 / 3, 0.0), (2 / 3, 1 / 3, 0.5), (1 / 3, 2 / 3, 0.375), (2 / 3, 1 / 3, 0.875)),
            (0, 0, 1, 1),
            (0, 1, 0.375 * (8 / 3) ** 0.5),
        ),
        'C1': Prototype(_FCC, (_ORIGIN, _QUARTER, _THREE_QUARTERS), (0, 1, 1), (0, 1, 0.1875**0.5)),
        'D0_3': Prototype(_FCC, (_ORIGIN, _QUARTER, _HALF, _THREE_QUARTERS), (0, 1, 1, 1)),
        'D0_19': Prototype(
            _HCP_OF_2A,
            (
                (1 / 3, 2 / 3, 0.25),
                (2 / 3, 1 / 3, 0.75),
                (5 / 6, 2 / 3, 0.25),
                (1 / 3, 1 / 6, 0.25),
                (5 / 6, 1 / 6, 0.25),
                (1 / 6, 1 / 3, 0.75),
                (2 / 3, 5 / 6, 0.75),
                (1 / 6, 5 / 6, 0.75),
            ),
            (0, 0, 1, 1, 1, 1, 1, 1),
        ),
        'D0_22': Prototype(_BCT, (_ORIGIN, (0.5, 0.5, 0.0), (0.75, 0.25, 0.5), (0.25, 0.75, 0.5)), (0, 1, 1, 1)),
        'E2_1': Prototype(
            _CUBE, (_HALF, _ORIGIN, (0.5, 0.0, 0.0), (0.0, 0.5, 0.0), (0.0, 0.0, 0.5)), (0, 1, 2, 2, 2), (1, 2, 0.5)
        ),
        'L1_0': Prototype(_CUBE, (_ORIGIN, _FACES[0], *_FACES[1:]), (0, 0, 1, 1)),
        'L1_2': Prototype(_CUBE, (_ORIGIN, *_FACES), (0, 1, 1, 1)),
    }
)
"""Ideal crystals by name: elements as fcc, compounds by their Strukturbericht symbol (B1: NaCl, B2: CsCl, B3: ZnS,
B4: wurtzite, C1: CaF2, D0_3: BiF3, D0_19: Ni3Sn with a twice that of hcp, D0_22: Al3Ti with c = 2 a, E2_1: perovskite ABX3,
L1_0: CuAu with c = a, L1_2: AuCu3)."""

SITES_PER_CELL: Final[Mapping[str, int]] = MappingProxyType({name: len(crystal.sites) for name, crystal in PROTOTYPES.items()})
"""Number of sites in the primitive cell."""

ON_LATTICE: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {'fcc': ('L1_0', 'L1_2', 'D0_22'), 'bcc': ('B2', 'D0_3'), 'hcp': ('D0_19',), 'sc': ('B1',), 'diamond': ('B3',)}
)
"""Ordered prototypes whose sites are those of a lattice."""

TWO_SUBLATTICES: Final = tuple(name for name, crystal in PROTOTYPES.items() if crystal.n_sublattices == 2)
