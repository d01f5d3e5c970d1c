"""`SimulateCalculation`: relaxations or plain MD by mlip-worker, for potentials that a user's LAMMPS cannot run."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation


def validate_simulation(value: orm.Dict | None, _: Any) -> str | None:
    """Return what is wrong with the fields of a `Simulation`, or None."""
    if value is None:
        return None
    try:
        Simulation.from_mapping(value.get_dict())
    except (InputError, TypeError) as error:
        return str(error)
    return None


class SimulateCalculation(WorkerCalculation):
    """One structure after the other, by the LAMMPS of mlip-worker, with pyace where it has no pair style for the potential."""

    STAGE = 'simulate'
    PARSER = 'mlip_autopipe.worker'

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential.')
        spec.input('frames', valid_type=FramesData, help='Start structures (Å).')
        spec.inputs['settings'].help = 'As `Simulation`: K, fs, eV/Å.'
        spec.inputs['settings'].validator = validate_simulation
        spec.output(
            'ends', valid_type=FramesData, required=False, help='The structures at their end (Å), in the order of the starts.'
        )
