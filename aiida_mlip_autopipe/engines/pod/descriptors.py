"""POD descriptors of structures, and the rows of the linear model that follow from them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from math import comb
from pathlib import Path
from typing import Final, Self

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.library import LammpsSystem
from aiida_mlip_autopipe.engines.pod.files import GRADE_COMPUTE, PARAMETERS, parameter_text
from aiida_mlip_autopipe.science.checks.wall import WallPath
from aiida_mlip_autopipe.science.linear.core import Zbl, ZblCore
from aiida_mlip_autopipe.science.linear.rows import DesignRows

STRAIN: Final = 1e-4
"""Strain of the central differences that give the stress rows."""

FEATURE_BASIS: Final = 'S'
"""Basis whose descriptors serve for comparing structures."""

MARGIN: Final = 0.1
"""Å by which the neighbour lists reach beyond the cutoff of the descriptors."""

ROUGHER: Final = 4.0
"""Prior width of a function over that of one with a neighbour more; it has the greatest evidence, see docs/train.md."""

RADIAL: Final = 'number_radial_basis_functions'
DEGREE: Final = 'angular_degree'

FOUR_BODY_ANGULAR: Final = (1, 2, 4, 7, 11, 16, 23)
"""Angular functions of the four-body descriptors, by their degree."""

_ROWS: Final = 'rows'
_VOIGT: Final = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class PodDescriptors:
    """A LAMMPS instance that computes POD descriptors; no coefficients are needed for them.

    :param elements: chemical symbols in the order of `parameter_file`.
    :param parameter_file: `param.pod`.
    :param is_bound: whether the energy of an atom without neighbours is fixed: its columns are zeros.
    :param core: the ZBL overlay of the potential, or None.
    :raises InputError: the file has other elements or no cutoff.
    """

    def __init__(
        self, elements: Sequence[str], parameter_file: Path, *, is_bound: bool = False, core: ZblCore | None = None
    ) -> None:
        self.elements = tuple(elements)
        self._is_bound, self._core = is_bound, core
        self._block = 0
        self._words = _words_of(parameter_file, self.elements)
        self.cutoff = float(self._words['rcut'][0])
        # LAMMPS takes two double quotes for "no coefficients"
        self._files = f'"{parameter_file.resolve()}" "" {" ".join(self.elements)}'
        self._system = LammpsSystem(self.elements)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._system.__exit__(*exception)

    @property
    def one_body(self) -> IntArray:
        """Columns of the energy of an atom without neighbours, by element, known once there were rows."""
        return np.arange(len(self.elements)) * self._block

    @property
    def roughness(self) -> FloatArray:
        """Narrower priors for functions of more neighbours, :data:`ROUGHER` for each beyond the first."""
        return np.tile(ROUGHER ** np.maximum(self._neighbours() - 1.0, 0.0), len(self.elements))

    def _neighbours(self) -> FloatArray:
        """Return how many neighbours each descriptor of an element correlates, in the order in which LAMMPS has them."""
        e, words = len(self.elements), self._words

        def number(body: str, name: str) -> int:
            return int(words[f'{body}body_{name}'][0])

        blocks = [
            1,
            number('two', RADIAL) * e,
            number('three', RADIAL) * (number('three', DEGREE) + 1) * comb(e + 1, 2),
            number('four', RADIAL) * FOUR_BODY_ANGULAR[number('four', DEGREE)] * comb(e + 2, 3),
        ]
        blocks.append(self._block - sum(blocks))  # five-body
        return np.repeat(np.arange(len(blocks), dtype=np.float64), blocks)

    def per_atom(self, atoms: Atoms) -> tuple[FloatArray, IntArray]:
        """Return descriptors, shape (n_atoms, n_descriptors), and types, shape (n_atoms,), of a periodic structure."""
        types = self._system.load(atoms, self._lines())
        self._system.command('run 0 post no')
        return self._system.atom_compute(GRADE_COMPUTE), types

    def design(self, atoms: Atoms, *, with_stress: bool = True) -> DesignRows:
        """Return the rows of the linear model for energy, forces and stress of a periodic structure."""
        types = self._system.load(atoms, [*self._lines(), f'compute {_ROWS} all pod/global {self._files}'])
        self._system.command('run 0 post no')
        rows = self._system.global_array(_ROWS)
        descriptors = self._system.atom_compute(GRADE_COMPUTE)
        forces = self._system.vectors_to_structure(rows[1:].reshape(len(atoms), 3, -1)).reshape(3 * len(atoms), -1)
        stress = None
        if with_stress:
            self._system.command(f'uncompute {_ROWS}')
            stress = self._stress_rows(types, atoms.cell.volume)
        self._block = descriptors.shape[1] + 1
        energy = rows[0].copy()
        if self._is_bound:
            energy[self.one_body] = 0.0
        return DesignRows(energy, forces, stress, descriptors, types)

    def core_energies(self, path: WallPath) -> FloatArray:
        """Return the energy of the overlay along a path of two approaching atoms, eV, shape (n_points,)."""
        if self._core is None:
            return np.zeros(len(path.distances))
        return Zbl(*path.pair).switched(path.distances, self._core)

    def _stress_rows(self, types: IntArray, volume: float) -> FloatArray:
        """Return d(energy row)/d(strain) / V by central differences.

        The cell is lower triangular in LAMMPS's frame and stays so under x -> x (1 + h E_ij) with i >= j; the energy does not
        feel the rotation by which this differs from the symmetric strain.
        """
        cell, positions = self._system.cell(), self._system.atom_column('x')
        tensors = []
        for row, column in ((0, 0), (1, 1), (2, 2), (2, 1), (2, 0), (1, 0)):
            strained = []
            for step in (STRAIN, -STRAIN):
                change = np.eye(3)
                change[row, column] += step
                self._system.set_cell(cell @ change, positions @ change)
                self._system.command('run 0 post no')
                strained.append(self._energy_row(self._system.atom_compute(GRADE_COMPUTE), types))
            tensors.append((strained[0] - strained[1]) / (2 * STRAIN * volume))
        tensor = np.array(tensors)[[0, 5, 4, 5, 1, 3, 4, 3, 2]].reshape(3, 3, -1)
        turned = self._system.tensors_to_structure(tensor)
        return np.array([turned[i, j] for i, j in _VOIGT])

    def _energy_row(self, descriptors: FloatArray, types: IntArray) -> FloatArray:
        """Return the sums of (1, descriptors) over the atoms of each element, one block per element."""
        own = types[:, None] == np.arange(len(self.elements))[None, :]
        sums = own.T @ np.column_stack([np.ones(len(types)), descriptors])
        return np.asarray(sums.ravel(), dtype=np.float64)

    def _lines(self) -> list[str]:
        return [
            f'pair_style zero {self.cutoff + MARGIN:.16g}',
            'pair_coeff * *',
            f'compute {GRADE_COMPUTE} all pod/atom {self._files}',
        ]


def pod_features(frames: Frames, *, elements: Sequence[str], cutoff: float) -> FloatArray:
    """Return mean and standard deviation per element of the POD descriptors of basis S, in this process.

    An element that a frame lacks has zeros.

    :param elements: chemical symbols; all elements of the frames must be among them.
    :param cutoff: Å.
    :return: shape (n_frames, 2 n_elements n_descriptors).
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / PARAMETERS
        path.write_text(parameter_text(elements, FEATURE_BASIS, cutoff), encoding='utf-8')
        with PodDescriptors(elements, path) as source:
            rows = [_summary(*source.per_atom(atoms), n_elements=len(elements)) for atoms in frames]
    return np.array(rows) if rows else np.zeros((0, 0))


def features(frames: Frames, *, elements: Sequence[str], cutoff: float) -> FloatArray:
    """Return what :func:`pod_features` returns, from a child process: the descriptor `mlip_autopipe.pod` of the selection.

    :raises InputError: a frame that is not periodic or has another element.
    :raises EngineError: LAMMPS is missing or crashed.
    """
    with tempfile.TemporaryDirectory(prefix='features_') as folder:
        return isolated(partial(pod_features, frames, elements=elements, cutoff=cutoff), Path(folder))


def _summary(descriptors: FloatArray, types: IntArray, *, n_elements: int) -> FloatArray:
    parts = []
    for kind in range(n_elements):
        own = descriptors[types == kind]
        parts += [own.mean(axis=0), own.std(axis=0)] if len(own) else [np.zeros(descriptors.shape[1])] * 2
    return np.concatenate(parts)


def _words_of(path: Path, elements: tuple[str, ...]) -> dict[str, list[str]]:
    words = {line.split()[0]: line.split()[1:] for line in path.read_text(encoding='utf-8').splitlines() if line.split()}
    found = tuple(words.get('species', ()))
    if found != elements:
        raise InputError(f'{path.name} has the elements {list(found)}, expected {list(elements)} in this order')
    if 'rcut' not in words:
        raise InputError(f'{path.name} has no cutoff (rcut)')
    return words
