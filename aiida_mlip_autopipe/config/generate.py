"""`GeneratorConfig`: how candidate structures are made from the target system."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.config.base import Settings
from aiida_mlip_autopipe.config.strategies import (
    OF,
    AmorphousConfig,
    AntisiteConfig,
    CellsConfig,
    DeformConfig,
    DimerConfig,
    DivacancyConfig,
    ElasticConfig,
    EOSConfig,
    FilesConfig,
    FrenkelConfig,
    InterstitialConfig,
    IsolatedAtomConfig,
    NodesConfig,
    Of,
    OrderedConfig,
    PhononConfig,
    RattleConfig,
    SQSConfig,
    StackingFaultConfig,
    StrainConfig,
    SurfaceConfig,
    SwapConfig,
    VacancyConfig,
)


class ExtraConfig(Settings):
    """A strategy of another package."""

    strategy: str = Field(description='entry point (group mlip_autopipe.strategies)')
    settings: dict[str, Any] = Field(default={}, description='what the strategy takes')
    of: Of = Field(default=None, description=OF)


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


class GeneratorConfig(Settings):
    """Structures made for each composition: bases, then their distortions, then defects."""

    sqs: SQSConfig = SQSConfig()
    strain: StrainConfig = StrainConfig()
    rattle: RattleConfig = RattleConfig()
    vacancy: VacancyConfig = VacancyConfig()
    ordered: OrderedConfig | None = None
    files: FilesConfig | None = None
    cells: CellsConfig | None = None
    structures: NodesConfig | None = None
    deform: DeformConfig | None = None
    eos: EOSConfig | None = None
    elastic: ElasticConfig | None = None
    phonon: PhononConfig | None = None
    divacancy: DivacancyConfig | None = None
    interstitial: InterstitialConfig | None = None
    antisite: AntisiteConfig | None = None
    swap: SwapConfig | None = None
    frenkel: FrenkelConfig | None = None
    surface: SurfaceConfig | None = None
    stacking_fault: StackingFaultConfig | None = None
    dimer: DimerConfig | None = None
    isolated_atom: IsolatedAtomConfig | None = None
    amorphous: AmorphousConfig | None = None
    extra: list[ExtraConfig] = Field(default=[], description='strategies of other packages, in this order after all others')
    checks: CheckConfig = CheckConfig()
    budget: BudgetConfig | None = None

    @property
    def n_other_bases(self) -> int:
        """Number of bulk bases that the sections beside sqs give at the least."""
        given = (self.files and self.files.paths, self.cells and self.cells.cells, self.structures and self.structures.nodes)
        return sum(len(names or ()) for names in given)

    @model_validator(mode='after')
    def check_parents(self) -> Self:
        """Refuse parents and weights that name no section that is used."""
        used = {name for name in type(self).model_fields if getattr(self, name)} - {'extra', 'checks', 'budget'}
        used |= {'bulk', *(extra.strategy for extra in self.extra)}
        named = {f'{name}.of': getattr(getattr(self, name), 'of', None) for name in type(self).model_fields}
        named |= {f'extra.{index}.of': extra.of for index, extra in enumerate(self.extra)}
        named['budget.weights'] = list(self.budget.weights) if self.budget else None
        for place, names in named.items():
            if unknown := [name for name in names or () if name not in used]:
                raise ValueError(f'{place} names {unknown}; sections used here: {sorted(used)}')
        return self
