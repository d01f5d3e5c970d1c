"""`ShiftedAce`: ASE's calculator for an ACE potential, by pyace in this process, whose energies are total energies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.library import pyace_module


class ShiftedAce(Calculator):
    """pyace's calculator, with what the files do not hold of each atom's energy added; `results` has `gamma` of each atom, too.

    :param folder: of the potential: its B-basis and its active set.
    :param energy_shift: eV for each atom of an element; none for an element that is missing.
    :raises InstallationError: pyace is missing.
    """

    implemented_properties: ClassVar[list[str]] = ['energy', 'free_energy', 'forces', 'stress']

    def __init__(self, folder: Path, energy_shift: Mapping[str, float]) -> None:
        super().__init__()
        self.energy_shift = dict(energy_shift)
        self._inner: Any = pyace_module().PyACECalculator(str(folder / POTENTIAL_YAML))
        self._inner.set_active_set(str(folder / ACTIVE_SET))

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Let pyace calculate, then add the shift to its energies."""
        super().calculate(atoms, properties, system_changes)
        self._inner.calculate(self.atoms, self.implemented_properties, system_changes)
        shift = sum(self.energy_shift.get(symbol, 0.0) for symbol in self.atoms.symbols)
        self.results = dict(self._inner.results)
        for name in ('energy', 'free_energy'):
            self.results[name] = self._inner.results['energy'] + shift
