"""POD potentials in LAMMPS: the names of their files and the lines that load them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

from ase.data import atomic_numbers

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.pod import (
    ACTIVE_SET,
    BASES,
    COEFFICIENTS,
    GRADE_COMPUTE,
    PARAMETERS,
    PodBasis,
    ZblCore,
    coefficient_text,
    parameter_text,
    read_coefficients,
)

__all__ = [
    'ACTIVE_SET',
    'BASES',
    'COEFFICIENTS',
    'GRADE_COMPUTE',
    'PARAMETERS',
    'PodBasis',
    'ZblCore',
    'coefficient_text',
    'grade_lines',
    'pair_lines',
    'parameter_text',
    'read_coefficients',
]


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
