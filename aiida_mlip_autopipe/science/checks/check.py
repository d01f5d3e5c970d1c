"""`Check`: a self-check of potentials that another package adds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.common.settings import Settings
from aiida_mlip_autopipe.science.checks.finding import Finding

GROUP: Final = 'mlip_autopipe.checks'
"""Entry points; a check that is not asked for in the configuration is not made."""


class Check(Settings):
    """A check that another package adds, an entry point of :data:`GROUP`; its settings are a section of `train.checks`.

    Its module imports no trainer: the settings of trainers hold those of the checks.
    """

    def findings(self, frames: Frames, evaluate: Callable[[Frames], Predictions]) -> list[Finding]:
        """Return what was found.

        :param frames: of the training set.
        :param evaluate: gives energy (eV), forces (eV/Å) and stress (eV/Å³) of the potential for other frames; it raises an
            `EngineError` or `InputError` where LAMMPS fails on them.
        """
        raise NotImplementedError


class Predictions(Protocol):
    """Of a potential, rows as in the columns of the frames."""

    @property
    def energy(self) -> FloatArray:
        """Total energy of the cell, eV, shape (n_frames,)."""

    @property
    def forces(self) -> FloatArray:
        """Forces, eV/Å, shape (n_atoms, 3)."""

    @property
    def stress(self) -> FloatArray:
        """Stress, eV/Å³, shape (n_frames, 6)."""
