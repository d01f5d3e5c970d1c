"""`TargetSystem`: the material that the potential is for."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.common.composition import SUM_TOLERANCE, whole_counts
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.prototypes import SITES_PER_CELL
from aiida_mlip_autopipe.config.base import Element, Settings

Composition = Annotated[dict[Element, Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]
Supercell = tuple[PositiveInt, PositiveInt, PositiveInt]


class TargetSystem(Settings):
    """A crystal and the compositions that it may have."""

    elements: list[Element] = Field(min_length=1, description='chemical symbols, in the order the potential lists them')
    prototype: Literal['fcc', 'bcc', 'sc', 'hcp', 'diamond'] = Field(description='crystal prototype of the base structures')
    lattice_parameters: dict[Element, PositiveFloat] = Field(
        description='Å, lattice parameter a of the prototype for each element; alloys follow by Vegard'
    )
    compositions: list[Composition] = Field(min_length=1, description='atomic fractions, each summing to one')
    supercells: list[Supercell] = Field(
        default=[(2, 2, 2)], min_length=1, description='repeats of the primitive cell along its three lattice vectors'
    )

    @model_validator(mode='after')
    def check_elements(self) -> Self:
        """Refuse elements that are listed twice, used but not listed, listed but not used, or without lattice parameter."""
        if len(set(self.elements)) != len(self.elements):
            raise ValueError(f'elements lists a symbol twice: {self.elements}')
        used = {element for composition in self.compositions for element, x in composition.items() if x > 0}
        listed = set(self.elements)
        if used - listed:
            raise ValueError(f'compositions uses {sorted(used - listed)}, which elements {self.elements} does not list')
        if listed - used:
            raise ValueError(f'elements lists {sorted(listed - used)}, which no composition contains')
        if set(self.lattice_parameters) != listed:
            raise ValueError(f'lattice_parameters must be given for {sorted(listed)}, got {sorted(self.lattice_parameters)}')
        return self

    @model_validator(mode='after')
    def check_compositions(self) -> Self:
        """Refuse compositions that do not sum to one or do not fit into a supercell with whole atoms."""
        for composition in self.compositions:
            total = sum(composition.values())
            if abs(total - 1) > SUM_TOLERANCE:
                raise ValueError(f'compositions: {composition} sums to {total:.6g}, it must sum to 1')
            for supercell in self.supercells:
                n_sites = SITES_PER_CELL[self.prototype] * supercell[0] * supercell[1] * supercell[2]
                try:
                    whole_counts(composition, n_sites)
                except InputError as error:
                    raise ValueError(f'compositions: supercell {list(supercell)}: {error}') from error
        return self
