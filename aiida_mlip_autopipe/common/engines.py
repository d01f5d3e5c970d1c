"""Names by which the engines of potentials are known in the record of a potential, and what LAMMPS calls their parts."""

from __future__ import annotations

from typing import Final

POD: Final = 'pod'
"""LAMMPS's proper orthogonal descriptors."""

PACE: Final = 'pace'
"""Atomic cluster expansion of Pacemaker."""

CAN: Final = '--can'
CANNOT: Final = 3
"""Option and exit status by which `mlip-worker` says whether it can run the potentials of an engine."""

PACE_GRADE_STYLE: Final = 'pace/extrapolation'
"""Pair style whose per-atom quantity `gamma` is the extrapolation grade."""
