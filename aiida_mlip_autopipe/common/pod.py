"""The files of a POD potential: their names, the table of bases and the text that `formats` and `science` both need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray

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


BASES: Final[Mapping[str, PodBasis]] = MappingProxyType(
    {
        'S': PodBasis(two=6, three=(4, 3)),
        'M': PodBasis(two=8, three=(6, 5), four=(4, 3)),
        'L': PodBasis(two=8, three=(7, 6), four=(5, 4), five=(3, 3)),
    }
)
"""Bases by name. For two elements S, M and L have 122, 474 and 1152 coefficients."""


@dataclass(frozen=True)
class ZblCore:
    """Distances between which the ZBL repulsion of nuclei is switched off; POD itself has no short-range core.

    :param inner: Å, where the switch begins.
    :param outer: Å, beyond which there is no ZBL; below the shortest distance of the training set.
    """

    inner: float
    outer: float

    def __post_init__(self) -> None:
        """Refuse distances that contradict each other."""
        if not 0 < self.inner < self.outer:
            raise InputError(f'ZBL core: inner {self.inner} Å and outer {self.outer} Å must fulfil 0 < inner < outer')


def parameter_text(elements: Sequence[str], basis: str, cutoff: float, inner: float = INNER_RADIUS) -> str:
    """Return the text of `param.pod`.

    :param elements: chemical symbols; LAMMPS maps types by this order, not by name.
    :param basis: name in :data:`BASES`.
    :param cutoff: Å, outer radius of the descriptors.
    :param inner: Å, inner radius of the descriptors.
    :raises InputError: an unknown basis, repeated elements, or radii that contradict each other.
    """
    if basis not in BASES:
        raise InputError(f'basis {basis!r} is unknown: one of {", ".join(BASES)}')
    if not elements or len(set(elements)) != len(elements):
        raise InputError(f'elements {list(elements)} must be at least one, each once')
    if not 0 < inner < cutoff:
        raise InputError(f'cutoff {cutoff} Å must be larger than the inner radius {inner} Å, and that larger than 0')
    size = BASES[basis]
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


def read_coefficients(text: str) -> FloatArray:
    """Return the coefficients of the text of `model.pod`.

    :return: eV, shape (n_coefficients,).
    :raises FormatError: the text is cut short or not of this format.
    """
    head, _, body = text.partition('\n')
    words = head.split()
    if len(words) < 2 or words[0] != 'model_coefficients:' or not words[1].isdigit():
        raise FormatError(f'a coefficient file begins with "model_coefficients: COUNT", found {head[:60]!r}')
    try:
        values = np.array([float(word) for word in body.split()], dtype=np.float64)
    except ValueError as error:
        raise FormatError(f'a coefficient file holds a word that is no number: {error}') from error
    if len(values) != int(words[1]):
        raise FormatError(f'a coefficient file announces {words[1]} coefficients and holds {len(values)}')
    return values
