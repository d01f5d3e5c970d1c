"""`SurrogateConfig`: which candidates are worth a label."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from aiida_mlip_autopipe.config.base import Settings


class SurrogateConfig(Settings):
    """Filters, descriptor and selector of the selection stage."""

    descriptor: str = Field(
        default='mlip_autopipe.pod', description='entry point (group mlip_autopipe.descriptors) that turns frames into features'
    )
    selector: str = Field(
        default='mlip_autopipe.fps', description='entry point (group mlip_autopipe.selectors) that picks among features'
    )
    descriptor_cutoff: PositiveFloat = Field(default=4.5, le=12, description='Å, cutoff of the descriptor')
    min_bond_fraction: float = Field(
        default=0.6, ge=0.3, le=1.0, description='shortest bond allowed, in sums of covalent radii, dimensionless'
    )
    max_skew: float = Field(default=60.0, gt=0, lt=90, description='degrees, largest deviation of a cell angle from 90 degrees')
    duplicate_tolerance: float = Field(
        default=0.01, ge=0, description='distance of standardised features up to which two frames are duplicates, dimensionless'
    )
