"""The embedded trainers: linear fits in mlip-worker, on POD descriptors or on the functions of ACE, with an active set."""

from __future__ import annotations

from typing import Any

from aiida import orm

from aiida_mlip_autopipe.calculations.worker import WorkerCalculation
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData


class LinearFitCalculation(WorkerCalculation):
    """Bayesian least squares on energies, forces and stresses, then a MaxVol active set for each element."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs and outputs."""
        super().define(spec)
        spec.input('frames', valid_type=FramesData, help='Training frames with energy (eV), forces (eV/Å) and stress (eV/Å³).')
        spec.input(
            'references',
            valid_type=FramesData,
            required=False,
            help='Isolated atoms, one for each element, labelled in eV; without them an energy of each element is fitted.',
        )
        spec.input('elements', valid_type=orm.List, help='Chemical symbols, in the order of the atom types of the potential.')
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.inputs['settings'].help = 'Settings of the trainer: cutoff in Å, weights per eV, eV/Å and eV/Å³.'
        spec.output('potential', valid_type=PotentialData, required=False, help='The fitted potential with its active set.')
        spec.exit_code(330, 'ERROR_POTENTIAL_MISSING', message='The trainer ended without a readable potential: {cause}')


class PodCalculation(LinearFitCalculation):
    """The fit on LAMMPS's POD descriptors."""

    STAGE = 'train-pod'
    PARSER = 'mlip_autopipe.pod'


class AceCalculation(LinearFitCalculation):
    """The fit of linear ACE on the functions of `pyace`."""

    STAGE = 'train-ace'
    PARSER = 'mlip_autopipe.ace'
