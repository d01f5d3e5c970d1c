"""The active set of a potential that is linear in per-atom descriptors, and the extrapolation grade that follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from scipy.linalg import solve_triangular

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.science.uncertainty.maxvol import BLOCK, MAX_SWAPS, TOLERANCE, maxvol

EPSILON: Final = 1e-3
"""Length of the artificial rows, in units of the largest training value of each descriptor.

They make the set complete: an atom with a component in a direction that no training atom shows gets a grade of the order of
1 / EPSILON, instead of losing that component in a projection. Shorter ones make much of what is too small to matter: POD M fitted
to 10 of the Cu-Au frames of docs/train.md has grades on its 100 test frames of 3 (median) and 21 (90 %) with 1e-4, and of 2 and 9
with 1e-3, which ranks the force errors of the atoms as well (area under the ROC curve, errors above 0.1 eV/Å: 0.95, 0.96; with 25
frames 0.97 both). With 1e-2 it falls.
"""


@dataclass(frozen=True, eq=False)
class ElementSet:
    """Active set of one element.

    :param projection: A⁻¹, from a constant and the descriptors to coordinates in the active set, shape (1 + n_descriptors, same).
    :param atoms: training atoms that are in the active set, as rows of the descriptors of the fit.
    :param n_artificial: places that an artificial row holds: directions that no training atom spans.
    :param swaps: exchanges of MaxVol.
    :param converged: whether MaxVol reached its tolerance.
    """

    projection: FloatArray
    atoms: IntArray
    n_artificial: int
    swaps: int
    converged: bool


@dataclass(frozen=True, eq=False)
class ActiveSet:
    """Per element, the training atoms that span the descriptor space with the largest volume.

    The extrapolation grade of an atom with row d = (1, descriptors) is gamma = max_j |(d A⁻¹)_j|: at most the MaxVol tolerance
    for atoms of the training set, and above it for atoms outside of what the training set spans.

    :param elements: sets by position of the element in the potential's order.
    :param n_descriptors: per atom.
    """

    elements: Mapping[int, ElementSet]
    n_descriptors: int

    @classmethod
    def fit(
        cls,
        descriptors: FloatArray,
        types: IntArray,
        *,
        epsilon: float = EPSILON,
        tolerance: float = TOLERANCE,
        max_swaps: int = MAX_SWAPS,
    ) -> Self:
        """Return the active set of training atoms.

        :param descriptors: shape (n_atoms, n_descriptors).
        :param types: position of each atom's element in the potential's order, shape (n_atoms,).
        :raises InputError: shapes that do not fit.
        """
        _require_shapes(descriptors, types)
        sets = {}
        for kind in np.unique(types):
            own = np.flatnonzero(types == kind)
            rows = np.column_stack([np.ones(len(own)), descriptors[own]])
            sets[int(kind)] = element_set(rows, own, epsilon=epsilon, tolerance=tolerance, max_swaps=max_swaps)
        return cls(sets, descriptors.shape[1])

    def grade(self, descriptors: FloatArray, types: IntArray) -> FloatArray:
        """Return the extrapolation grade of atoms, shape (n_atoms,); infinite for an element without training atoms.

        :raises InputError: shapes that do not fit.
        """
        _require_shapes(descriptors, types)
        if descriptors.shape[1] != self.n_descriptors:
            raise InputError(f'the active set belongs to {self.n_descriptors} descriptors per atom, got {descriptors.shape[1]}')
        grades = np.full(len(descriptors), np.inf)
        for kind, element in self.elements.items():
            for own in np.array_split(np.flatnonzero(types == kind), 1 + len(types) // BLOCK):
                if len(own):
                    coordinates = element.projection[0] + descriptors[own] @ element.projection[1:]
                    grades[own] = np.abs(coordinates).max(axis=1)
        return grades

    def save(self, path: Path) -> None:
        """Write the set to one `.npz` file without pickled objects."""
        columns: dict[str, FloatArray | IntArray] = {'n_descriptors': np.array(self.n_descriptors)}
        for kind, element in self.elements.items():
            columns[f'projection_{kind}'] = element.projection
            columns[f'atoms_{kind}'] = element.atoms
            columns[f'search_{kind}'] = np.array([element.n_artificial, element.swaps, int(element.converged)])
        with path.open('wb') as handle:
            np.savez_compressed(handle, **columns)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the set of a file written by :meth:`save`.

        :raises FormatError: the file is missing or of another format.
        """
        try:
            with np.load(path, allow_pickle=False) as stored:
                columns = {name: stored[name] for name in stored.files}
            kinds = sorted(int(name.removeprefix('projection_')) for name in columns if name.startswith('projection_'))
            sets = {kind: _stored_set(columns, kind) for kind in kinds}
            return cls(sets, int(columns['n_descriptors']))
        except (OSError, ValueError, KeyError) as error:
            raise FormatError(f'{path} is not an active set: {error}') from error


def element_set(
    own_rows: FloatArray,
    own: IntArray,
    *,
    epsilon: float = EPSILON,
    tolerance: float = TOLERANCE,
    max_swaps: int = MAX_SWAPS,
) -> ElementSet:
    """Return the active set of the atoms of one element.

    :param own_rows: what the energy of each atom is linear in, shape (n_atoms, n_columns).
    :param own: the atoms, as rows of the descriptors of the fit, shape (n_atoms,).
    """
    n_atoms, n_columns = own_rows.shape
    rows = np.vstack([own_rows, np.zeros((n_columns, n_columns))])
    scale = np.abs(rows).max(axis=0)
    scale[scale == 0.0] = 1.0
    rows /= scale
    rows[n_atoms:] = epsilon * np.eye(n_columns)
    triangle = _orthonormalise(rows)
    found = maxvol(rows, tolerance=tolerance, max_swaps=max_swaps)
    real = found.indices < n_atoms
    projection = solve_triangular(triangle, found.inverse) / scale[:, None]
    return ElementSet(projection, own[found.indices[real]], int((~real).sum()), found.swaps, found.converged)


def _orthonormalise(rows: FloatArray) -> FloatArray:
    """Replace rows X by Q of X = Q R and return R; gamma is the same in any coordinates, the numbers are better in these."""
    triangle = np.zeros((0, rows.shape[1]))
    for start in range(0, len(rows), BLOCK):
        triangle = np.asarray(np.linalg.qr(np.vstack([triangle, rows[start : start + BLOCK]]), mode='r'))
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        block[:] = solve_triangular(triangle, block.T, trans='T').T
    return triangle


def _stored_set(columns: Mapping[str, FloatArray | IntArray], kind: int) -> ElementSet:
    n_artificial, swaps, converged = (int(value) for value in columns[f'search_{kind}'])
    atoms = np.asarray(columns[f'atoms_{kind}'], dtype=np.int64)
    return ElementSet(np.asarray(columns[f'projection_{kind}'], dtype=np.float64), atoms, n_artificial, swaps, bool(converged))


def _require_shapes(descriptors: FloatArray, types: IntArray) -> None:
    if descriptors.ndim != 2 or types.shape != (len(descriptors),):
        raise InputError(f'descriptors of shape {descriptors.shape} and types of shape {types.shape} do not fit')
