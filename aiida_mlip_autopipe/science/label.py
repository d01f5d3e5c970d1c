"""`Label`: the numbers that a labeller gives for a structure, and whether they may be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason

CROSSOVER = 100.0
"""Electrons above which making the bands orthogonal costs more than applying the Hamiltonian; a rough number."""


@dataclass(frozen=True, eq=False)
class Label:
    """What a labeller gave; None for what it did not give.

    :param energy: eV, total energy of the cell.
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, ASE's sign and Voigt order, shape (6,).
    """

    energy: float | None
    forces: npt.NDArray[np.float64] | None
    stress: npt.NDArray[np.float64] | None = None

    def failure(self, *, force_cap: float, is_converged: bool = True) -> FrameFailure | None:
        """Return why this must not be used as a label, or None where it may.

        :param force_cap: eV/Å, largest force allowed on an atom.
        :param is_converged: what the labeller says of its self-consistency.
        """
        if not is_converged:
            return FrameFailure(Reason.SCF_NOT_CONVERGED)
        if self.energy is None or self.forces is None:
            return FrameFailure(Reason.OUTPUT_INCOMPLETE, 'energy or forces are missing')
        if not all(np.isfinite(value).all() for value in (self.energy, self.forces, self.stress) if value is not None):
            return FrameFailure(Reason.NOT_FINITE)
        largest = np.linalg.norm(self.forces, axis=1).max()
        return FrameFailure(Reason.FORCE_CAP, f'{largest:.4g} eV/Å') if largest > force_cap else None

    def put_on(self, atoms: Atoms, *, fingerprint: str, label_uuid: str = '') -> Atoms:
        """Return `atoms` as a new object with this label on it.

        :param fingerprint: level of theory.
        :param label_uuid: uuid of the calculation that made the label, or empty where it is not known yet.
        """
        labelled = atoms.copy()
        labelled.info.update(fingerprint=fingerprint, label_uuid=label_uuid)
        results: dict[str, Any] = {'energy': self.energy, 'forces': self.forces, 'stress': self.stress}
        known = {name: value for name, value in results.items() if value is not None}
        labelled.calc = SinglePointCalculator(labelled, **known)
        return labelled


def predicted_cost(n_electrons: float, n_kpoints: int, volume: float) -> float:
    """Return what a plane-wave calculation costs, in arbitrary units.

    The Hamiltonian is applied to every band (∝ n V), and bands are made orthogonal to each other (∝ n² V): k V n (1 + n/100).

    :param n_electrons: valence electrons in the cell.
    :param n_kpoints: k-points before symmetry.
    :param volume: Å³; the number of plane waves grows with it.
    """
    return n_kpoints * volume * n_electrons * (1 + n_electrons / CROSSOVER)
