"""What to try with a calculation that did not converge: one change of the numerics after the other, never of the theory."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

MORE_STEPS: Final = 3
"""Factor on the largest number of SCF steps, since gentler mixing takes longer."""


@dataclass(frozen=True)
class Remedy:
    """One thing to try.

    :param name: what a report calls it.
    :param electrons: keys of the namelist ELECTRONS that replace those of the calculation that failed.
    """

    name: str
    electrons: Mapping[str, Any] = field(default_factory=dict)

    def applied_to(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the namelists with this remedy, as a new mapping."""
        changed = deepcopy(dict(parameters))
        electrons = changed.setdefault('ELECTRONS', {})
        electrons.update(self.electrons)
        electrons['electron_maxstep'] = MORE_STEPS * max(int(electrons.get('electron_maxstep', 100)), 100)
        return changed


LADDER: Final = (
    Remedy('more_steps'),
    Remedy('mixing_beta_0.4', {'mixing_beta': 0.4}),
    Remedy('mixing_beta_0.2', {'mixing_beta': 0.2, 'mixing_mode': 'local-TF'}),
    Remedy('diagonalization_cg', {'mixing_beta': 0.2, 'diagonalization': 'cg'}),
)
"""Tried one after the other: gentler mixing of the charge (local Thomas-Fermi for uneven cells), then another eigensolver."""
