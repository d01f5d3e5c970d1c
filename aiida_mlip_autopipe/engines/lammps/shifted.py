"""`ShiftedLammps`: ASE's calculator for a LAMMPS program, whose energies are total energies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase import Atoms
from ase.calculators.lammpsrun import LAMMPS


class ShiftedLammps(LAMMPS):
    """ASE's calculator, with what LAMMPS does not know of each atom's energy added.

    :param energy_shift: eV for each atom of an element; none for an element that is missing.
    """

    def __init__(self, *, energy_shift: Mapping[str, float], **parameters: Any) -> None:
        super().__init__(**parameters)
        self.energy_shift = dict(energy_shift)

    def calculate(
        self, atoms: Atoms | None = None, properties: list[str] | None = None, system_changes: list[str] | None = None
    ) -> None:
        """Let LAMMPS calculate, then add the shift to its energies."""
        super().calculate(atoms, properties, system_changes)
        shift = sum(self.energy_shift.get(symbol, 0.0) for symbol in self.atoms.symbols)
        for name in ('energy', 'free_energy'):
            self.results[name] += shift
