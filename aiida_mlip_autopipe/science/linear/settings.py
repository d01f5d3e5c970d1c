"""`LinearSettings`: what the fit of every linear potential needs besides the frames, and the zero of its energies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames

ENERGY_WEIGHT: Final = 12.0
"""1/(eV/√atom), see :class:`LinearSettings`; where the noise of the energies is sought, the search begins here."""

FIRST_STRESS_WEIGHT: Final = 100.0
"""1/(eV/Å³), where the search for the noise of the stresses begins."""


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """Weights, ridge and core of a linear fit.

    The energy of a cell of N atoms is fitted as E/√N: errors of atoms that do not know of each other add up like that. Its
    weight is a choice, not found by evidence: the evidence takes every force for news, also the 40,000 of a benchmark whose
    misfit the basis itself makes, and would sell 26 meV/atom for 4 % of the forces (docs/train.md).

    :param elements: chemical symbols; their order is that of the LAMMPS types.
    :param cutoff: Å.
    :param energy_weight: of E/√N, 1/(eV/√atom); None: the noise of the energies is found by evidence.
    :param force_weight: of the force components, 1/(eV/Å).
    :param stress_weight: of the stress components, 1/(eV/Å³); None: by evidence; 0 leaves them out, which saves time.
    :param ridge: without unit, see :func:`~aiida_mlip_autopipe.science.linear.factors.solve`; None: by evidence.
    :param core: whether ZBL repulsion is added below the shortest training distance.
    :param free_one_body: whether the energy of an atom without neighbours is fitted; otherwise it is the isolated atom's.
    :param seed: of the folds that are held out.
    :param n_predictions: training frames whose predictions are kept, for the comparison with LAMMPS.
    :raises InputError: a value out of its range.
    """

    elements: tuple[str, ...]
    cutoff: float
    energy_weight: float | None = ENERGY_WEIGHT
    force_weight: float = 1.0
    stress_weight: float | None = None
    ridge: float | None = None
    core: bool = True
    free_one_body: bool = True
    seed: int = 0
    n_predictions: int = 20

    def __post_init__(self) -> None:
        """Refuse values out of their range."""
        if not self.elements or len(set(self.elements)) != len(self.elements):
            raise InputError(f'elements {list(self.elements)} must be at least one, each once')
        weights = {'energy': self.energy_weight, 'force': self.force_weight, 'stress': self.stress_weight}
        if bad := {name: value for name, value in weights.items() if value is not None and not 0 <= value < np.inf}:
            raise InputError(f'weights {bad}: expected at least 0 and finite')
        if self.energy_weight == 0 and self.force_weight == 0:
            raise InputError('the weights of energy and force are both 0, so that nothing is fitted')
        if self.ridge is not None and not 0 < self.ridge < 1:
            raise InputError(f'ridge is {self.ridge}, expected between 0 and 1')
        if self.n_predictions < 1:
            raise InputError(f'n_predictions is {self.n_predictions}, expected at least 1')

    @property
    def uses_stress(self) -> bool:
        """Whether stresses are fitted where the frames have them."""
        return self.stress_weight != 0


def compositions(frames: Frames, elements: Sequence[str]) -> FloatArray:
    """Return the number of atoms of each element in each frame, shape (n_frames, n_elements)."""
    return np.array([[frames.symbols(i).count(e) for e in elements] for i in range(len(frames))], dtype=np.float64)


def base_energies(frames: Frames, references: Mapping[str, float], elements: Sequence[str], *, is_free: bool) -> FloatArray:
    """Return the energy per element that a fit takes as its zero, eV, shape (n_elements,).

    :param references: eV, energy of the isolated atom of each element; none at all: the zero is fitted.
    :param is_free: whether what is left of the energies, per atom, is fitted by an energy of each element.
    """
    isolated = np.array([references.get(element, 0.0) for element in elements])
    if references and not is_free:
        return isolated
    counts = compositions(frames, elements)
    remainder = frames.energy - counts @ isolated
    scale = frames.counts[:, None]
    return np.asarray(isolated + np.linalg.lstsq(counts / scale, remainder / scale[:, 0], rcond=None)[0])
