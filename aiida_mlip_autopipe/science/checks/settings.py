"""`ChecksConfig`: the checks that every potential must pass before anyone may use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, create_model

from aiida_mlip_autopipe.common.entry_points import require_subclass, sections
from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.science.checks.check import GROUP, Check


def _check(entry_point: str, found: Any) -> None:
    require_subclass(entry_point, GROUP, Check, found)


if TYPE_CHECKING:
    _Assembled = Settings
else:
    _fields = {name: (kind | None, None) for name, kind in sections(GROUP, _check).items()}
    _Assembled = create_model('_Assembled', __base__=Settings, **_fields)


class ChecksConfig(_Assembled):
    """Checks that every potential must pass before anyone may use it: how much is looked at, and what is still accepted."""

    compared_frames: PositiveInt = Field(
        default=20, le=1000, description='training frames on which the trainer and LAMMPS are compared'
    )
    energy_tolerance: PositiveFloat = Field(
        default=1e-5, le=0.01, description='eV/atom, largest difference between the energies of the trainer and of LAMMPS'
    )
    force_tolerance: PositiveFloat = Field(
        default=1e-4, le=0.1, description='eV/Å, largest difference between the forces of the trainer and of LAMMPS'
    )
    error_agreement: PositiveFloat = Field(
        default=1e-3, le=0.1, description='dimensionless, largest relative difference of the training errors of the two'
    )
    stress_frames: PositiveInt = Field(
        default=3, le=100, description='frames on which the stress is compared with the derivative of the energy'
    )
    stress_strain: float = Field(
        default=1e-4, ge=1e-6, le=1e-2, description='dimensionless, strain of the central differences of the energy'
    )
    stress_tolerance: PositiveFloat = Field(
        default=1e-5, le=0.01, description='eV/Å³, largest difference between the stress and the derivative of the energy'
    )
    gamma_max: float = Field(default=1.01, ge=1, le=2, description='dimensionless, largest grade of a training atom')
    wall_depth: float = Field(
        default=0.5, ge=0.2, lt=1, description='dimensionless, share of the shortest distance down to which the wall is followed'
    )
    wall_points: int = Field(default=26, ge=5, le=500, description='distances at which the wall is sampled')
    wall_fall: NonNegativeFloat = Field(
        default=0.01, le=1, description='eV, how far the energy may fall on the way to shorter distances'
    )
    nve_structures: PositiveInt = Field(default=8, le=100, description='base structures that run at constant energy, at most')
    nve_temperature: float = Field(default=300.0, gt=0, le=5000, description='K, of the initial velocities')
    nve_time: float = Field(default=1000.0, ge=10, le=100_000, description='fs, length of the run at constant energy')
    nve_timestep: float = Field(default=1.0, gt=0, le=5, description='fs')
    nve_drift: PositiveFloat = Field(
        default=1.0, le=100, description='meV/atom per ps, largest slope of the total energy at constant energy'
    )
    nve_fluctuation: PositiveFloat = Field(
        default=1.0, le=100, description='meV/atom, largest standard deviation of the total energy around that slope'
    )

    @property
    def others(self) -> dict[str, Check]:
        """Checks of other packages that are asked for, by their entry points."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: check for name, check in given.items() if isinstance(check, Check)}
