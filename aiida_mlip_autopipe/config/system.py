"""`TargetSystem`: the material that the potential is for."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, Self

from ase.data import atomic_numbers
from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from aiida_mlip_autopipe.common.composition import SUM_TOLERANCE, whole_counts
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import PROTOTYPES, PrototypeName
from aiida_mlip_autopipe.common.ranges import compositions_of, supercells_of, unique
from aiida_mlip_autopipe.common.settings import Element, Settings

Composition = Annotated[dict[Element, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]


def _known_member(name: str) -> str:
    if any(element not in atomic_numbers or element == 'X' for element in name.split('-')):
        raise ValueError('not the symbol of a chemical element, or several joined by -')
    return name


EndMember = Annotated[str, AfterValidator(_known_member)]
Supercell = tuple[PositiveInt, PositiveInt, PositiveInt]


class TargetSystem(Settings):
    """A crystal and the compositions that it may have."""

    elements: list[Element] = Field(min_length=1, description='chemical symbols, in the order the potential lists them')
    prototype: PrototypeName | None = Field(
        default=None, description='crystal prototype of the base structures; null: all of them come from files, nodes or cells'
    )
    lattice_parameters: dict[EndMember, PositiveFloat] = Field(
        default={},
        description='Å, lattice parameter a of the prototype for each element, or end member such as Mg-O; alloys follow by '
        'Vegard, what is left out is estimated from radii',
    )
    compositions: list[Composition] = Field(
        default=[],
        description='atomic fractions, each summing to one; for prototypes with one sublattice; a range in place of fractions: '
        '{Mg: {start: 0, stop: 0.5, step: 0.125}, Al: rest}',
    )
    occupations: list[list[Composition]] = Field(
        default=[],
        description='atomic fractions on each sublattice, for prototypes with several; elements of one only; ranges as above',
    )
    supercells: list[Supercell] = Field(
        default=[(2, 2, 2)],
        min_length=1,
        description='repeats of the primitive cell along its three lattice vectors; a member may be a range: '
        '{start: 2, stop: 4, step: 1}, with one number for all three vectors or a list of three',
    )

    @field_validator('compositions', mode='before')
    @classmethod
    def spread_compositions(cls, value: Any) -> Any:
        """Return the compositions, those of ranges one by one."""
        given = [value] if isinstance(value, dict) else value
        if not isinstance(given, list):
            return value
        return unique([found for composition in given for found in compositions_of(composition)])

    @field_validator('occupations', mode='before')
    @classmethod
    def spread_occupations(cls, value: Any) -> Any:
        """Return the fractions on the sublattices, those of ranges one by one."""
        if not isinstance(value, list) or not all(isinstance(parts, list) for parts in value):
            return value
        every = [product(*(compositions_of(part) for part in parts)) for parts in value]
        return unique([list(parts) for alloys in every for parts in alloys])

    @field_validator('supercells', mode='before')
    @classmethod
    def spread_supercells(cls, value: Any) -> Any:
        """Return the supercells, those of ranges one by one."""
        given = [value] if isinstance(value, dict) else value
        return [found for item in given for found in supercells_of(item)] if isinstance(given, list) else value

    @property
    def alloys(self) -> list[list[dict[str, float]]]:
        """The fractions on each sublattice, one list for each alloy."""
        return [list(parts) for parts in self.occupations] or [[composition] for composition in self.compositions]

    @property
    def unused(self) -> list[str]:
        """Elements that are listed, but in no alloy."""
        used = {element for parts in self.alloys for part in parts for element, x in part.items() if x > 0}
        return sorted(set(self.elements) - used)

    @model_validator(mode='after')
    def check_sublattices(self) -> Self:
        """Refuse fractions that do not fit the sublattices of the prototype."""
        if self.prototype is None:
            if given := [name for name in ('compositions', 'occupations', 'lattice_parameters') if getattr(self, name)]:
                raise ValueError(f'{given[0]} needs a prototype: give it, or leave out {given[0]}')
            return self
        expected = PROTOTYPES[self.prototype].n_sublattices
        field, other = ('compositions', 'occupations') if expected == 1 else ('occupations', 'compositions')
        if not getattr(self, field) or getattr(self, other):
            raise ValueError(f'{field} must be given, and not {other}: {self.prototype} has {expected} sublattice(s)')
        for parts in self.alloys:
            if len(parts) != expected:
                raise ValueError(f'{field}: {self.prototype} has {expected} sublattices, got the fractions of {len(parts)}')
            present = [element for part in parts for element, x in part.items() if x > 0]
            if len(set(present)) != len(present):
                raise ValueError(f'{field}: an element must be on one sublattice only, got {parts}')
        return self

    @model_validator(mode='after')
    def check_elements(self) -> Self:
        """Refuse elements that are listed twice, or used but not listed, and unknown end members."""
        field = 'occupations' if self.occupations else 'compositions'
        if len(set(self.elements)) != len(self.elements):
            raise ValueError(f'elements lists a symbol twice: {self.elements}')
        used = {element for parts in self.alloys for part in parts for element, x in part.items() if x > 0}
        listed = set(self.elements)
        if used - listed:
            raise ValueError(f'{field} uses {sorted(used - listed)}, which elements {self.elements} does not list')
        members = {'-'.join(m) for parts in self.alloys for m in product(*({e for e, x in p.items() if x > 0} for p in parts))}
        if self.prototype is not None and PROTOTYPES[self.prototype].n_sublattices == 1:
            members |= listed  # bases from elsewhere may have them
        if unknown := sorted(set(self.lattice_parameters) - members):
            raise ValueError(f'lattice_parameters names {unknown}; the end members of this system are {sorted(members)}')
        return self

    @model_validator(mode='after')
    def check_compositions(self) -> Self:
        """Refuse fractions that do not sum to one or do not fit into a supercell with whole atoms."""
        field = 'occupations' if self.occupations else 'compositions'
        labels = PROTOTYPES[self.prototype].sublattices if self.prototype else ()
        for parts in self.alloys:
            for index, part in enumerate(parts):
                total = sum(part.values())
                if abs(total - 1) > SUM_TOLERANCE:
                    raise ValueError(f'{field}: {part} sums to {total:.6g}, it must sum to 1')
                for supercell in self.supercells:
                    n_sites = labels.count(index) * supercell[0] * supercell[1] * supercell[2]
                    try:
                        whole_counts(part, n_sites)
                    except InputError as error:
                        raise ValueError(f'{field}: supercell {list(supercell)}: {error}') from error
        return self
