"""`InferenceConfig`: the MD runs that look for what the potential does not know."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.config.base import Settings

MAX_TIMESTEP = 10.0
"""fs; no atom moves through its nearest neighbour below this, above it nothing integrates."""


class InferenceConfig(Settings):
    """Starts, temperatures, pressures and the thresholds of the extrapolation grade."""

    explorer: str = Field(default='mlip_autopipe.lammps_md', description='entry point of the process that runs the MD')
    starts: PositiveInt = Field(default=4, description='start structures in each round, taken from the training lineages')
    supercell: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(1, 1, 1), description='repeats of the start structures; candidates keep this size'
    )
    temperatures: list[PositiveFloat] = Field(
        default=[300.0], min_length=1, description='K, rising; the next one runs only when none was stopped at the one before'
    )
    pressure: Annotated[float, Field(ge=-50, le=1000)] | None = Field(
        default=0.0, description='GPa, constant pressure (NPT); null: constant volume (NVT)'
    )
    steps: PositiveInt = Field(default=2000, description='MD steps of each trajectory')
    timestep: float = Field(default=2.0, gt=0, le=MAX_TIMESTEP, description='fs')
    check_interval: PositiveInt = Field(default=10, description='MD steps between two looks at the grade')
    gamma_select: float = Field(default=2.0, ge=1, description='grade above which a frame is a candidate, dimensionless')
    gamma_halt: float = Field(default=10.0, gt=1, description='grade above which a trajectory stops, dimensionless')
    max_candidates: PositiveInt = Field(default=20, description='candidates kept of each trajectory')

    @model_validator(mode='after')
    def check_order(self) -> Self:
        """Refuse thresholds in the wrong order, temperatures that do not rise and trajectories that are never looked at."""
        if self.gamma_halt <= self.gamma_select:
            raise ValueError(f'gamma_halt {self.gamma_halt:g} must be larger than gamma_select {self.gamma_select:g}')
        if sorted(set(self.temperatures)) != self.temperatures:
            raise ValueError(f'temperatures must rise, got {self.temperatures}')
        if self.check_interval > self.steps:
            raise ValueError(f'check_interval {self.check_interval} must not exceed steps {self.steps}')
        return self
