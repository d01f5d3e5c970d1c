"""`Simulation`: a relaxation or a run of MD, and the LAMMPS commands that do it, the same in every program that holds LAMMPS."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.lammps.md_text import ensemble_line, minimize_line, timestep_line, velocity_line
from aiida_mlip_autopipe.science.md.records import MAX_SEED

SAMPLE_STEPS: Final = 10
"""Steps between two samples of an average."""


class SimulationKind(StrEnum):
    """What is done with each structure."""

    RELAX = 'relax'
    NVT = 'nvt'
    NPT = 'npt'


@dataclass(frozen=True)
class Simulation:
    """What is done with each structure, one after the other.

    :param kind: `relax` moves the atoms in their cell to the next minimum; `npt` holds no pressure.
    :param temperature: K.
    :param timestep: fs.
    :param equilibration: steps before samples are taken.
    :param steps: of the run, or of the relaxation at most.
    :param seed: of the velocities, 1 to 2³¹ - 1.
    :param anisotropic: whether the lengths of the cell change one by one, in place of all alike.
    :param force_tolerance: eV/Å, largest force on an atom at which a relaxation ends.
    :raises InputError: a value out of its range.
    """

    kind: SimulationKind
    temperature: float = 300.0
    timestep: float = 2.0
    equilibration: int = 0
    steps: int = 1000
    seed: int = 1
    anisotropic: bool = False
    force_tolerance: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        for name in ('temperature', 'timestep', 'force_tolerance'):
            if not getattr(self, name) > 0:
                raise InputError(f'{name}: got {getattr(self, name)}; must be more than 0')
        if self.steps < SAMPLE_STEPS or self.equilibration < 0:
            raise InputError(f'steps: got {self.equilibration} and {self.steps}; must be 0 or more, and at least {SAMPLE_STEPS}')
        if not 0 < self.seed <= MAX_SEED:
            raise InputError(f'seed: got {self.seed}; must be 1 to {MAX_SEED}')

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Return the simulation of plain values.

        :raises InputError: a field is missing, unknown, or out of its range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise InputError(f'{unknown[0]}: unknown key; allowed here: {", ".join(sorted(known))}')
        try:
            return cls(**{**values, 'kind': SimulationKind(values.get('kind', ''))})
        except ValueError as error:
            kinds = ', '.join(SimulationKind)
            raise InputError(f'kind: got {values.get("kind")!r}; must be one of {kinds}') from error

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values that :meth:`from_mapping` reads."""
        return {**dataclasses.asdict(self), 'kind': self.kind.value}

    @property
    def is_dynamics(self) -> bool:
        """Whether the atoms have a temperature."""
        return self.kind is not SimulationKind.RELAX

    @property
    def setup_lines(self) -> list[str]:
        """Commands after the potential is loaded and before anything moves."""
        if not self.is_dynamics:
            return ['min_modify norm max']
        pressure = 0.0 if self.kind is SimulationKind.NPT else None
        barostat = 'anisotropic' if self.anisotropic else 'isotropic'
        return [
            velocity_line(self.temperature, self.seed),
            ensemble_line((self.temperature, self.temperature), self.timestep, pressure, barostat),
            timestep_line(self.timestep),
        ]

    @property
    def minimize_line(self) -> str:
        """Command that relaxes the atoms in their cell."""
        return minimize_line(self.force_tolerance, self.steps)


@dataclass(frozen=True)
class Averages:
    """What a simulation of one structure gave: means over the samples of a run, or the values at the end of a relaxation.

    :param volume: Å³ of the cell.
    :param temperature: K; 0 of a relaxation.
    :param energy: potential energy of the cell, eV.
    :param samples: number of samples.
    """

    volume: float
    temperature: float
    energy: float
    samples: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields."""
        return dataclasses.asdict(self)
