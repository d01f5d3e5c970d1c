"""Force constants by finite displacements, by phonopy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray


def phonon_of(atoms: Atoms, supercell: Sequence[int], distance: float) -> Any:
    """Return phonopy's object of a primitive cell, its displacements made: as few as symmetry allows.

    :param supercell: repeats.
    :param distance: Å, length of a displacement.
    :raises InstallationError: phonopy is missing.
    """
    try:
        from phonopy import Phonopy  # noqa: PLC0415  # takes a second to import
        from phonopy.structure.atoms import PhonopyAtoms  # noqa: PLC0415  # the same
    except ImportError as error:
        raise InstallationError(f'phonopy cannot be imported ({error}); install it with: pip install phonopy') from error
    places, masses = atoms.get_scaled_positions(), atoms.get_masses()
    cell = PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=places, masses=masses)
    phonon = Phonopy(cell, supercell_matrix=np.diag(supercell), primitive_matrix=np.eye(3), log_level=0)
    phonon.generate_displacements(distance=distance)
    return phonon


def displaced_cells(phonon: Any) -> list[Atoms]:
    """Return the supercells with one atom displaced."""
    return [
        Atoms(numbers=cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)
        for cell in phonon.supercells_with_displacements or ()
    ]


def with_forces(phonon: Any, forces: Sequence[FloatArray]) -> Any:
    """Return phonopy's object with its force constants (eV/Å²).

    :param forces: eV/Å, of each displaced cell in order, shape (n_atoms, 3).
    """
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon
