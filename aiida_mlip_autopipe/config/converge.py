"""`ConvergeConfig`: the cutoffs and k-point distances that a convergence study compares, and the errors that it accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field, PositiveFloat, field_validator

from aiida_mlip_autopipe.common.settings import Settings

MAX_CUTOFF: Final = 500.0
"""Ry."""
MAX_DISTANCE: Final = 2.0
"""1/Å."""

CUTOFF_FACTORS: Final = (0.75, 1.0, 1.25, 1.5, 2.0)
DISTANCE_FACTORS: Final = (1.5, 1.0, 0.75, 0.6, 0.5)
"""Series in units of the configured value, for those who give none."""

SERIES_DIGITS: Final = 4
"""Decimals of the values of such a series."""

Cutoff = Annotated[float, Field(gt=0, le=MAX_CUTOFF)]
Distance = Annotated[float, Field(gt=0, le=MAX_DISTANCE)]


class ConvergeConfig(Settings):
    """The convergence study (`mlip-auto converge`): series, in which the configured value always takes part, and targets."""

    cutoffs_wfc: list[Cutoff] | None = Field(
        default=None,
        min_length=2,
        description='Ry, cutoffs of the wave functions, the largest is the reference; '
        '0.75, 1, 1.25, 1.5 and 2 times label.cutoff_wfc when not given',
    )
    kpoints_distances: list[Distance] | None = Field(
        default=None,
        min_length=2,
        description='1/Å, distances of k-points, the smallest is the reference; '
        '1.5, 1, 0.75, 0.6 and 0.5 times label.kpoints_distance when not given',
    )
    target_energy: PositiveFloat = Field(
        default=1.0, le=1000, description='meV/atom, largest error of the energy difference between two structures'
    )
    target_force: PositiveFloat = Field(default=10.0, le=1000, description='meV/Å, largest error of the force on an atom')
    target_stress: PositiveFloat | None = Field(
        default=0.1, le=100, description='GPa, largest error of a stress component; null does not judge it'
    )
    max_structures: int = Field(
        default=8,
        ge=3,
        le=100,
        description='structures of the study at most, two of which are distorted: one strained, one rattled',
    )
    strain_series: bool = Field(
        default=True,
        description='whether the first structure is calculated at four strains besides, to see whether its stress is smooth; '
        'target_stress judges it, too',
    )

    @field_validator('cutoffs_wfc', 'kpoints_distances')
    @classmethod
    def check_series(cls, values: list[float] | None) -> list[float] | None:
        """Refuse a value that stands twice: it would be paid twice and compared with itself."""
        twice = sorted({value for value in values or [] if (values or []).count(value) > 1})
        if twice:
            raise ValueError(f'lists {", ".join(f"{value:g}" for value in twice)} more than once')
        return values

    def cutoff_series(self, configured: float) -> list[float]:
        """Return the cutoffs, Ry, from the loosest to the tightest.

        :param configured: `label.cutoff_wfc`, Ry.
        """
        return sorted(_series(self.cutoffs_wfc, CUTOFF_FACTORS, configured, MAX_CUTOFF))

    def distance_series(self, configured: float) -> list[float]:
        """Return the distances of k-points, 1/Å, from the loosest to the tightest.

        :param configured: `label.kpoints_distance`, 1/Å.
        """
        return sorted(_series(self.kpoints_distances, DISTANCE_FACTORS, configured, MAX_DISTANCE), reverse=True)


def _series(given: Sequence[float] | None, factors: Sequence[float], configured: float, largest: float) -> set[float]:
    scaled = (min(round(factor * configured, SERIES_DIGITS), largest) for factor in factors if factor != 1)
    return {configured, *(scaled if given is None else given)}
