"""`Quantity`: one number of a property, and `Result`: what a method says of one structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

from ase import Atoms
from pydantic import PositiveInt

from aiida_mlip_autopipe.common.entry_points import require_subclass, sections
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.science.properties.crystal import Crystal

Repeats = tuple[PositiveInt, PositiveInt, PositiveInt]

GROUP: Final = 'mlip_autopipe.properties'
"""Entry points."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a potential or a labeller says of a structure.

    :param energy: eV, of the cell.
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, ASE's sign and Voigt order, shape (6,); None where there is none.
    """

    atoms: Atoms
    energy: float
    forces: FloatArray
    stress: FloatArray | None


@dataclass(frozen=True)
class Quantity:
    """A number that is compared.

    :param name: such as `C11`.
    :param value: in `unit`.
    """

    name: str
    value: float
    unit: str


@dataclass(frozen=True)
class Limit:
    """How far a potential may be from the reference: the larger one of what is given.

    :param relative: share of the reference, dimensionless.
    :param absolute: in the unit of the quantity.
    """

    relative: float = 0.0
    absolute: float = 0.0

    def allowed(self, reference: float) -> float:
        """Return the largest error, in the unit of the quantity."""
        return max(self.relative * abs(reference), self.absolute)


class Property(Settings):
    """A property: it says which structures it needs, by the parts they play, and its quantities from their results.

    It is an entry point of :data:`GROUP`, and its fields are its section of `properties`.
    """

    ORDER: ClassVar[int] = 1000
    """Place in the report; by name where two have the same."""

    IS_DEFAULT: ClassVar[bool] = False
    """Whether it is asked for where the configuration does not name it."""

    def applies(self, crystal: Crystal) -> bool:
        """Whether the crystal has the property."""
        return True

    def frames(self, crystal: Crystal) -> dict[str, Atoms]:
        """Return the structures by their parts, for a crystal at its equilibrium."""
        raise NotImplementedError

    def quantities(self, crystal: Crystal, found: Mapping[str, Result]) -> list[Quantity]:
        """Return the quantities from the results of all parts."""
        raise NotImplementedError

    def limit(self, quantity: Quantity) -> Limit:
        """Return how far a quantity may be from the reference."""
        raise NotImplementedError


@cache
def registered_properties() -> Mapping[str, type[Property]]:
    """Return the properties that are registered by the names of their sections, in the order of the report."""
    return sections(GROUP, _check)


def _check(entry_point: str, found: Any) -> None:
    require_subclass(entry_point, GROUP, Property, found)


def stress_of(found: Mapping[str, Result], part: str) -> FloatArray:
    """Return the stress of a part, eV/Å³.

    :raises InputError: the method gives none.
    """
    stress = found[part].stress
    if stress is None:
        raise InputError(f'the structure {part} has no stress, which elastic constants are made of')
    return stress
