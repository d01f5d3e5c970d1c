"""`GeneratorConfig`: how candidate structures are made from the target system, assembled from the registered strategies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, create_model, model_validator

from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.science.generate.settings import strategies
from aiida_mlip_autopipe.science.generate.strategy import BULK, Strategy


class CheckConfig(Settings):
    """What a structure must fulfil to be a candidate."""

    min_bond_fraction: float = Field(
        default=0.5, ge=0, le=1.0, description='shortest bond allowed, in sums of covalent radii, dimensionless'
    )
    max_skew: float = Field(default=65.0, gt=0, lt=90, description='degrees, largest deviation of a cell angle from 90 degrees')
    max_aspect: float = Field(default=10.0, ge=1, description='longest lattice vector over shortest height, dimensionless')
    volume_per_atom: tuple[NonNegativeFloat, PositiveFloat] | None = Field(
        default=None, description='bounds in volumes of the covalent spheres, dimensionless; not for cells with vacuum'
    )
    max_atoms: PositiveInt = Field(default=500, description='atoms that one DFT calculation may have')
    duplicate_tolerance: NonNegativeFloat = Field(
        default=0.002, description='Å, displacement up to which two structures are the same, after rotation and permutation'
    )


class BudgetConfig(Settings):
    """A total number of structures in place of what the sections add up to."""

    n_structures: PositiveInt = Field(description='bases and fixed sets, filled up with random structures')
    weights: dict[str, NonNegativeFloat] = Field(
        default={}, description='share of each section that draws at random; when left out, its count, dimensionless'
    )


def _sections() -> dict[str, Any]:
    """Return a field for each registered strategy."""
    return {name: (kind, kind()) if kind.IS_DEFAULT else (kind | None, None) for name, kind in strategies().items()}


if TYPE_CHECKING:
    _Assembled = Settings
else:
    _Assembled = create_model('_Assembled', __base__=Settings, **_sections())


class GeneratorConfig(_Assembled):
    """Structures made for each composition: bases, then their distortions, then defects."""

    GONE = {'extra': 'a strategy of another package is a section with the name of its entry point, _ for the dots'}

    checks: CheckConfig = CheckConfig()
    budget: BudgetConfig | None = None

    @property
    def plan(self) -> Mapping[str, Strategy]:
        """The strategies that make something, by the name of their section, in the order of the plan."""
        given = {name: getattr(self, name) for name in strategies()}
        return {name: strategy for name, strategy in given.items() if strategy is not None and strategy.is_used}

    @model_validator(mode='after')
    def check_parents(self) -> Self:
        """Refuse parents and weights that name no section that is used."""
        given = {name: section for name in strategies() if (section := getattr(self, name)) is not None}
        used = {BULK, *given}
        named = {f'{name}.of': getattr(section, 'of', None) for name, section in given.items()}
        named['budget.weights'] = list(self.budget.weights) if self.budget else None
        for place, names in named.items():
            if unknown := [name for name in names or () if name not in used]:
                raise ValueError(f'{place} names {unknown}; sections used here: {sorted(used)}')
        return self
