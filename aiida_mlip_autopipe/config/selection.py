"""`SelectionConfig`: which candidates are worth a label."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from aiida_mlip_autopipe.common.settings import Settings

Share = Annotated[float, Field(ge=0, le=1)]


AUTO: Final = 'auto'
FPS: Final = 'mlip_autopipe.fps'
D_OPTIMAL: Final = 'mlip_autopipe.d_optimal'
RANDOM: Final = 'mlip_autopipe.random'

GONE: Final = ('mlip_autopipe.cur', 'mlip_autopipe.maxvol')
"""Selectors of earlier versions."""

FIRST: Final = ('sqs', 'ordered', 'cell', 'eos', 'elastic', 'phonon')
"""Undistorted crystals, and the sets of which a part is of little use."""


class QuotaConfig(Settings):
    """Shares of the budget for groups of frames; what has no share gets from what is left."""

    config_type: dict[str, Share] = Field(
        default={}, description='share of the budget by config_type, at most 1 together, dimensionless'
    )
    composition: dict[str, Share] = Field(
        default={}, description='share of the budget by reduced formula such as Al3Mg, at most 1 together, dimensionless'
    )

    @model_validator(mode='after')
    def check_sums(self) -> Self:
        """Refuse shares that are more than the budget together."""
        for name in ('config_type', 'composition'):
            total = sum(getattr(self, name).values())
            if total > 1 + 1e-9:
                raise ValueError(f'{name}: the shares are {total:g} together; at most 1 is allowed')
        return self


class PreExplorationConfig(Settings):
    """A short walk of every sane candidate with the surrogate, the end of which joins the candidates; needs a model."""

    kind: Literal['none', 'relax', 'md'] = Field(
        default='none', description='relax moves atoms downhill in a fixed cell, md is NVT (Langevin)'
    )
    temperature: PositiveFloat = Field(default=600.0, le=10_000, description='K, of md')
    steps: PositiveInt = Field(default=50, le=10_000, description='steps of md or of the relaxation')
    timestep: PositiveFloat = Field(default=2.0, le=10, description='fs, of md')


class SelectionConfig(Settings):
    """Surrogate or descriptor, filters and selector of the selection stage."""

    model: str | None = Field(
        default=None,
        min_length=1,
        description='MACE model: a file (relative to this one), a path on the compute machine, or the name of a foundation model '
        '(mace_mp); without it the descriptor is used and nothing is predicted',
    )
    device: Literal['auto', 'cpu', 'cuda'] = Field(default='auto', description='where the model runs; auto takes a GPU if any')
    dtype: Literal['float32', 'float64'] = Field(default='float32', description='precision of the model')
    batch_edges: PositiveInt | None = Field(
        default=None, description='pairs of neighbours in a batch of the model; by default what suits the device'
    )
    reduction: Literal['mean_std', 'mean'] = Field(
        default='mean_std', description='how the descriptors of the atoms of each element become features of a structure'
    )
    pre_explore: PreExplorationConfig = PreExplorationConfig()
    descriptor: str = Field(
        default='mlip_autopipe.pod',
        description='entry point (group mlip_autopipe.descriptors) that turns frames into features where there is no model',
    )
    selector: str = Field(
        default=AUTO,
        description='entry point (group mlip_autopipe.selectors or mlip_autopipe.atom_selectors) that picks what is labelled; '
        'auto: mlip_autopipe.d_optimal where there is a potential, in round 0 mlip_autopipe.fps',
    )
    first: list[str] = Field(
        default=list(FIRST),
        description='config_types that are all labelled in round 0, before the selector spends the rest of the budget',
    )
    descriptor_cutoff: PositiveFloat = Field(default=4.5, le=12, description='Å, cutoff of the descriptor')
    min_bond_fraction: float = Field(
        default=0.6, ge=0.3, le=1.0, description='shortest bond allowed, in sums of covalent radii, dimensionless'
    )
    max_skew: float = Field(default=60.0, gt=0, lt=90, description='degrees, largest deviation of a cell angle from 90 degrees')
    duplicate_tolerance: float = Field(
        default=0.01, ge=0, description='distance of standardised features up to which two frames are duplicates, dimensionless'
    )
    force_cap: PositiveFloat | None = Field(default=50.0, description='eV/Å, largest predicted force; needs a model')
    energy_window: PositiveFloat | None = Field(
        default=2.0, description='eV/atom, largest predicted energy above the convex hull of the candidates; needs a model'
    )
    volume_window: tuple[float, float] | None = Field(
        default=None, description='Å³/atom, smallest and largest volume of a periodic structure'
    )
    quotas: QuotaConfig = QuotaConfig()

    def selector_where(self, *, has_potential: bool) -> str:
        """Return the selector of a round; one by the descriptors of a potential needs one, which round 0 has not."""
        if has_potential and self.selector == AUTO:
            return D_OPTIMAL
        return FPS if self.selector == AUTO or (self.selector == D_OPTIMAL and not has_potential) else self.selector

    @field_validator('selector')
    @classmethod
    def check_selector(cls, name: str) -> str:
        """Refuse one that is no longer there, and name those to take instead."""
        if name in GONE:
            raise ValueError(f'it is no longer there; take {D_OPTIMAL} (the largest volume of atoms), {FPS} or {RANDOM}')
        return name

    @model_validator(mode='after')
    def check_volume_window(self) -> Self:
        """Refuse a window that nothing could pass."""
        window = self.volume_window
        if window is not None and not 0 <= window[0] < window[1]:
            raise ValueError(f'volume_window: got {list(window)}; must be two rising numbers, at least 0 (Å³/atom)')
        return self

    @model_validator(mode='after')
    def check_pre_exploration(self) -> Self:
        """Refuse a walk without a model to walk with."""
        if self.pre_explore.kind != 'none' and self.model is None:
            raise ValueError(f'pre_explore.kind: got {self.pre_explore.kind!r}; it needs a model: give select.model')
        return self
