"""Pacemaker potentials: the names of their files, what the files hold, and the LAMMPS lines that load them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import yaml

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.potential import PotentialRecord, checksum_of
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, ENGINE, POTENTIAL_YACE, POTENTIAL_YAML

INPUT: Final = 'input.yaml'
TRAIN_DATA: Final = 'df.pckl.gzip'
TEST_DATA: Final = 'df_test.pckl.gzip'
INITIAL_POTENTIAL: Final = 'initial_potential.yaml'

INTERIM_POTENTIAL: Final = 'interim_potential_0.yaml'
"""Written after every iteration; a fit that was cut short can go on from it."""

FITTING_DATA: Final = 'fitting_data_info.pckl.gzip'
LOG: Final = 'log.txt'
METRICS: Final = 'metrics.txt'
TEST_METRICS: Final = 'test_metrics.txt'

FAST_LOADER = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
"""A potential with 700 functions is read in a tenth of a second instead of three."""


def pair_lines(elements: Sequence[str]) -> list[str]:
    """Return the LAMMPS lines that load the fast form.

    :param elements: chemical symbols in the order of the LAMMPS types; Pacemaker's own order does not matter.
    """
    return ['pair_style pace product', f'pair_coeff * * {POTENTIAL_YACE} {" ".join(elements)}']


def grade_lines(elements: Sequence[str]) -> list[str]:
    """Return the LAMMPS lines that take the place of the pair lines in a run that watches the extrapolation grade.

    `pace/extrapolation` is another pair style and reads the B-basis with the active set; it gives the same forces. Read after
    the pair lines, these lines replace them. The grade itself comes from a `fix pair`, which belongs to the run: it says at
    which steps the grade is computed.
    """
    return ['pair_style pace/extrapolation', f'pair_coeff * * {POTENTIAL_YAML} {ACTIVE_SET} {" ".join(elements)}']


def record_of(
    elements: Sequence[str], cutoff: float, references: Mapping[str, float], fingerprint: str, contents: Mapping[str, bytes]
) -> PotentialRecord:
    """Return the record of a potential whose files are tied together by their checksums.

    :param cutoff: Å.
    :param references: eV, energies of the isolated atoms, which were subtracted before the fit.
    :param contents: the files by name; the first three are :data:`POTENTIAL_FILES`.
    """
    return PotentialRecord(
        engine=ENGINE,
        elements=tuple(elements),
        cutoff=cutoff,
        pair_lines=tuple(pair_lines(elements)),
        grade_lines=tuple(grade_lines(elements)),
        reference_energies=dict(references),
        fingerprint=fingerprint,
        active_set=ACTIVE_SET,
        checksums={name: checksum_of(content) for name, content in contents.items()},
        energy_shift=dict(references),
    )


def functions_of(potential: str) -> dict[str, int]:
    """Return the number of basis functions of each element.

    :param potential: text of a potential in the B-basis.
    :raises FormatError: the text is no such potential, or holds numbers that are not finite.
    """
    try:
        blocks = yaml.load(potential, Loader=FAST_LOADER)['species']
        counts: dict[str, int] = {}
        for block in blocks:
            element = str(block['speciesblock']).split()[0]
            counts[element] = counts.get(element, 0) + len(block['nbody'])
            if not all(np.isfinite(function['c']).all() for function in block['nbody']):
                raise FormatError(f'{POTENTIAL_YAML}: a coefficient of {block["speciesblock"]} is not finite')
    except (yaml.YAMLError, KeyError, TypeError, IndexError) as error:
        raise FormatError(f'{POTENTIAL_YAML}: not a potential in the B-basis: {error}') from error
    return counts


def active_set_sizes(content: bytes) -> dict[str, int]:
    """Return the size of the square matrix of each element.

    :param content: bytes of an active set.
    :raises FormatError: not an active set, or a matrix is not square or not finite.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            matrices: dict[str, Any] = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise FormatError(f'{ACTIVE_SET}: not an active set: {error}') from error
    for name, matrix in matrices.items():
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not np.isfinite(matrix).all():
            raise FormatError(f'{ACTIVE_SET}: the matrix of {name}, shape {matrix.shape}, is not square and finite')
    return {name: len(matrix) for name, matrix in matrices.items()}


def check_same_fit(contents: Mapping[str, bytes], elements: Sequence[str]) -> dict[str, int]:
    """Return the number of functions of each element, after the three files were found to belong together.

    LAMMPS reports an active set of the wrong size only at run time, and one of another fit of the same size never.

    :param contents: :data:`POTENTIAL_FILES` by name.
    :raises FormatError: a file is no such file, or the files have other elements or sizes.
    """
    functions = functions_of(contents[POTENTIAL_YAML].decode())
    sizes = active_set_sizes(contents[ACTIVE_SET])
    fast = fast_elements(contents[POTENTIAL_YACE].decode())
    if set(functions) != set(elements) or set(fast) != set(elements):
        raise FormatError(
            f'the potential is for {sorted(functions)} ({sorted(fast)} in {POTENTIAL_YACE}), not {sorted(elements)}'
        )
    if sizes != functions:
        raise FormatError(f'{ACTIVE_SET} has the sizes {sizes}, but {POTENTIAL_YAML} has {functions} functions: not of one fit')
    return functions


def fast_elements(potential: str) -> list[str]:
    """Return the elements of a potential in the C-basis.

    :raises FormatError: the text is no such potential.
    """
    for line in potential.splitlines():
        name, _, value = line.partition(':')
        if name.strip() == 'elements':
            return [str(element) for element in yaml.safe_load(value)]
    raise FormatError(f'{POTENTIAL_YACE}: not a potential in the C-basis: it has no line with its elements')
