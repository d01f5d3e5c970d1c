"""The files of a POD potential: their names and texts, the table of basis sets, and the lines by which LAMMPS loads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from types import MappingProxyType
from typing import Final

import numpy as np
from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.linear.core import ZblCore

ENGINE: Final = 'pod'
"""In the record of a potential."""

PARAMETERS: Final = 'param.pod'
"""Basis and cutoff: what LAMMPS needs to compute the descriptors."""

COEFFICIENTS: Final = 'model.pod'
"""Coefficients of the linear model, the element blocks in the order of the elements."""

ACTIVE_SET: Final = 'active_set.npz'
"""Active set per element: what the extrapolation grade is computed from."""

GRADE_COMPUTE: Final = 'grade'
"""Identifier of the LAMMPS compute whose per-atom descriptors the extrapolation grade is computed from."""

INNER_RADIUS: Final = 1.0
"""Å, below which POD's radial functions are not defined; no training pair may be closer."""


@dataclass(frozen=True)
class PodBasis:
    """Size of a POD basis.

    :param two: radial functions of the two-body terms.
    :param three: radial functions and angular degree of the three-body terms.
    :param four: the same of the four-body terms; 0 leaves them out.
    :param five: the same of the five-body terms; 0 leaves them out.
    """

    two: int
    three: tuple[int, int]
    four: tuple[int, int] = (0, 0)
    five: tuple[int, int] = (0, 0)


BASIS_SETS: Final[Mapping[str, PodBasis]] = MappingProxyType(
    {
        'S': PodBasis(two=6, three=(4, 3)),
        'M': PodBasis(two=8, three=(6, 5), four=(4, 3)),
        'L': PodBasis(two=8, three=(7, 6), four=(5, 4), five=(3, 3)),
    }
)
"""Bases by name. For two elements S, M and L have 122, 474 and 1152 coefficients."""


def parameter_text(elements: Sequence[str], basis: str, cutoff: float, inner: float = INNER_RADIUS) -> str:
    """Return the text of `param.pod`.

    :param elements: chemical symbols; LAMMPS maps types by this order, not by name.
    :param basis: name in :data:`BASIS_SETS`.
    :param cutoff: Å, outer radius of the descriptors.
    :param inner: Å, inner radius of the descriptors.
    :raises InputError: an unknown basis, repeated elements, or radii that contradict each other.
    """
    if basis not in BASIS_SETS:
        raise InputError(f'basis {basis!r} is unknown: one of {", ".join(BASIS_SETS)}')
    if not elements or len(set(elements)) != len(elements):
        raise InputError(f'elements {list(elements)} must be at least one, each once')
    if not 0 < inner < cutoff:
        raise InputError(f'cutoff {cutoff} Å must be larger than the inner radius {inner} Å, and that larger than 0')
    size = BASIS_SETS[basis]
    lines = [
        f'species {" ".join(elements)}',
        'pbc 1 1 1',
        f'rin {inner:.16g}',
        f'rcut {cutoff:.16g}',
        'bessel_polynomial_degree 4',
        'inverse_polynomial_degree 8',
        'onebody 1',
        f'twobody_number_radial_basis_functions {size.two}',
    ]
    for word, (radial, degree) in (('three', size.three), ('four', size.four), ('five', size.five)):
        lines += [f'{word}body_number_radial_basis_functions {radial}', f'{word}body_angular_degree {degree}']
    return '\n'.join(lines) + '\n'


def coefficient_text(coefficients: FloatArray) -> str:
    """Return the text of `model.pod`, 17 significant digits.

    :param coefficients: eV, shape (n_coefficients,).
    :raises FormatError: a coefficient is not finite.
    """
    if not np.isfinite(coefficients).all():
        raise FormatError(f'coefficient {int(np.argmin(np.isfinite(coefficients)))} of {len(coefficients)} is not finite')
    return f'model_coefficients: {len(coefficients)} 0 0\n' + ''.join(f'{value:.16e}\n' for value in coefficients)


def pair_lines(elements: Sequence[str], core: ZblCore | None, folder: str = '') -> list[str]:
    """Return the LAMMPS lines that load a POD potential, with a ZBL core when one is given.

    `pair_coeff` of POD maps types by order of appearance and not by name: the full list stands in the order of the file.

    :param elements: chemical symbols in the order of `param.pod`, which is the order of the LAMMPS types.
    :param folder: where `param.pod` and `model.pod` lie; empty for the working directory.
    """
    files = f'{_path(folder, PARAMETERS)} {_path(folder, COEFFICIENTS)} {" ".join(elements)}'
    if core is None:
        return ['pair_style pod', f'pair_coeff * * {files}']
    lines = [f'pair_style hybrid/overlay pod zbl {core.inner:.16g} {core.outer:.16g}', f'pair_coeff * * pod {files}']
    for first, second in combinations_with_replacement(range(len(elements)), 2):
        charges = f'{atomic_numbers[elements[first]]} {atomic_numbers[elements[second]]}'
        lines.append(f'pair_coeff {first + 1} {second + 1} zbl {charges}')
    return lines


def grade_lines(elements: Sequence[str], folder: str = '') -> list[str]:
    """Return the LAMMPS line that computes the descriptors from which the extrapolation grade follows; one MPI rank only."""
    files = f'{_path(folder, PARAMETERS)} {_path(folder, COEFFICIENTS)}'
    return [f'compute {GRADE_COMPUTE} all pod/atom {files} {" ".join(elements)}']


def _path(folder: str, name: str) -> str:
    path = f'{folder.rstrip("/")}/{name}' if folder else name
    if any(letter in path for letter in '"$\n'):
        raise InputError(f'LAMMPS cannot read a path with a quote, a dollar sign or a line break: {path!r}')
    return f'"{path}"' if any(letter.isspace() for letter in path) else path
