"""What to try with a calculation that failed: one change of the numerics after the other, never of the theory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.geometry import complete_cell

from aiida_mlip_autopipe.common.reasons import Reason

MORE_STEPS: Final = 3
"""Factor on the largest number of SCF steps, since gentler mixing takes longer."""

LEAST_STEPS: Final = 100

FINAL: Final = frozenset({Reason.FORCE_CAP, Reason.PROGRAM_MISSING})
"""Reasons that no repetition can mend: of the structure, or of an installation."""

VACUUM: Final = 5.0
"""Å without atoms along a lattice vector, above which a cell counts as a slab."""


@dataclass(frozen=True)
class Remedy:
    """One thing to try.

    :param name: what a report calls it.
    :param electrons: keys of the namelist ELECTRONS that replace those of the calculation that failed.
    :param smearing_factor: factor on the smearing of a first calculation, whose density starts one at the true smearing.
    """

    name: str
    electrons: Mapping[str, Any] = field(default_factory=dict)
    smearing_factor: float = 1.0

    @property
    def has_first_step(self) -> bool:
        """Whether a calculation at a wider smearing comes first."""
        return self.smearing_factor != 1.0

    def applied_to(self, parameters: Mapping[str, Any], *, is_first_step: bool = False) -> dict[str, Any]:
        """Return the namelists with this remedy, as a new mapping."""
        changed = deepcopy(dict(parameters))
        electrons = changed.setdefault('ELECTRONS', {})
        electrons.update(self.electrons)
        electrons['electron_maxstep'] = MORE_STEPS * max(int(electrons.get('electron_maxstep', LEAST_STEPS)), LEAST_STEPS)
        if is_first_step:
            changed['SYSTEM']['degauss'] = self.smearing_factor * changed['SYSTEM']['degauss']
        elif self.has_first_step:
            electrons['startingpot'] = 'file'
        return changed


REPEAT: Final = Remedy('repeat_with_more_steps')


def next_remedy(reason: Reason, tried: Collection[str], *, mixing_beta: float, has_vacuum: bool) -> Remedy | None:
    """Return what to try next, or None when nothing is left.

    :param reason: why the last calculation failed.
    :param tried: names of the remedies that did not help.
    :param mixing_beta: of the calculation that failed first.
    :param has_vacuum: whether the cell is a slab or a molecule; see :func:`is_open`.
    """
    if reason in FINAL:
        return None
    # Only missing self-consistency calls for other numerics; any other failure may have come from the machine.
    steps = ladder(mixing_beta, has_vacuum) if reason is Reason.SCF_NOT_CONVERGED else iter([REPEAT])
    return next((remedy for remedy in steps if remedy.name not in tried), None)


def ladder(mixing_beta: float, has_vacuum: bool) -> Iterator[Remedy]:
    """Return the remedies against missing self-consistency, in order.

    Gentler mixing of the charge (screened by the local Thomas-Fermi model in cells with vacuum), wider smearing first, then
    other eigensolvers.
    """
    yield REPEAT
    mode = {'mixing_mode': 'local-TF'} if has_vacuum else {}
    gentle = [beta for beta in (0.4, 0.2) if beta < mixing_beta] or [mixing_beta / 2]
    for beta in gentle:
        yield Remedy(f'mixing_beta_{beta:g}', {'mixing_beta': beta, **mode})
    last = {'mixing_beta': gentle[-1], **mode}
    yield Remedy('wider_smearing_first', last, smearing_factor=3.0)
    yield Remedy('diagonalization_paro', {**last, 'diagonalization': 'paro'})
    yield Remedy('diagonalization_cg', {**last, 'diagonalization': 'cg'})


def is_open(atoms: Atoms) -> bool:
    """Return whether the cell has a layer without atoms wider than 5 Å, as slabs and molecules have."""
    cell = complete_cell(atoms.cell.array)
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    places = np.sort(atoms.get_scaled_positions(), axis=0)
    gaps = np.diff(np.vstack([places, places[:1] + 1]), axis=0).max(axis=0)
    return bool((gaps * heights > VACUUM).any())
