"""What makes numbers a label: present, finite, below the force cap; and a label put on a structure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

Numbers = npt.NDArray[np.float64]


def label_problem(
    energy: float | None, forces: Numbers | None, stress: Numbers | None, *, force_cap: float, is_converged: bool = True
) -> str:
    """Return why these numbers are no label, or an empty text.

    :param energy: eV.
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, shape (6,), or None where the labeller has none.
    :param force_cap: eV/Å, largest force allowed on an atom.
    :param is_converged: what the labeller says of its self-consistency.
    """
    if not is_converged:
        return 'scf_not_converged'
    if energy is None or forces is None:
        return 'energy_or_forces_missing'
    if not (np.isfinite(energy) and np.isfinite(forces).all() and (stress is None or np.isfinite(stress).all())):
        return 'not_finite'
    return 'force_cap' if np.linalg.norm(forces, axis=1).max() > force_cap else ''


def with_label(
    atoms: Atoms,
    *,
    energy: float | None,
    forces: Numbers | None,
    stress: Numbers | None,
    fingerprint: str,
    label_uuid: str,
) -> Atoms:
    """Return `atoms` as a new object with a label on it.

    :param energy: eV.
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, shape (6,), or None.
    :param fingerprint: level of theory.
    :param label_uuid: uuid of the calculation that made the label, or empty where it is not known yet.
    """
    labelled = atoms.copy()
    labelled.info.update(fingerprint=fingerprint, label_uuid=label_uuid)
    results: dict[str, Any] = {'energy': energy, 'forces': forces, 'stress': stress}
    labelled.calc = SinglePointCalculator(labelled, **{name: value for name, value in results.items() if value is not None})
    return labelled
