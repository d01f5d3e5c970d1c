"""`Frames`: an ordered set of structures with their labels and their origin, held as flat columns."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_mlip_autopipe.common.errors import InvalidFramesError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
TextArray = npt.NDArray[np.str_]

ISOLATED_ATOM = 'isolated_atom'
"""config_type of the single atoms in a box whose energies are the zero of the energy scale."""

UID_LENGTH = 16
UID_DECIMALS = 5
"""Cells (Å) and scaled positions are rounded to this many decimals before they are hashed."""

FLAT_CELL = 1e-6
"""Volume between lattice vectors of length 1 below which they count as linearly dependent, dimensionless."""

_ATOM_COLUMNS = ('numbers', 'positions', 'forces')
_TEXT_COLUMNS = ('uid', 'lineage', 'parent', 'config_type', 'origin', 'fingerprint', 'label_uuid', 'reason')
_LABEL_COLUMNS = ('labelled', 'has_stress', 'energy', 'forces', 'stress', 'fingerprint', 'label_uuid')


def uid_of(atoms: Atoms) -> str:
    """Return the hash of a structure: the same for permuted atoms and for atoms moved by lattice vectors.

    :param atoms: the structure; labels and metadata do not enter.
    :return: 16 hexadecimal digits.
    :raises InvalidFramesError: the lattice vectors are linearly dependent; vectors that are zero, as those of a molecule, do
        not count.
    """
    if not _has_independent_vectors(atoms.cell.array.tobytes()):
        raise InvalidFramesError(f'{atoms.symbols}: the lattice vectors {atoms.cell.tolist()} Å are linearly dependent')
    scale = 10**UID_DECIMALS
    periodic = np.asarray(atoms.pbc, dtype=bool)
    cell = np.rint(atoms.cell.array * scale).astype(np.int64)
    # Whole numbers: in floating point 1.3 % 1.0 is not 0.3, and the hash would change with the lattice vector.
    places = np.rint(_scaled_positions(atoms) * scale).astype(np.int64)
    numbers = atoms.numbers.astype(np.int64)
    if periodic.all():
        places %= scale
        order = np.argsort(((numbers * scale + places[:, 0]) * scale + places[:, 1]) * scale + places[:, 2])  # below 2⁶³
    else:
        places[:, periodic] %= scale
        order = np.lexsort((places[:, 2], places[:, 1], places[:, 0], numbers))
    parts = (numbers[order], places[order], cell, periodic)
    return hashlib.sha256(b''.join(part.tobytes() for part in parts)).hexdigest()[:UID_LENGTH]


def _scaled_positions(atoms: Atoms) -> FloatArray:
    """Return what ASE does, which first completes the vectors of a cell even where none is zero."""
    if not atoms.cell.array.any(axis=1).all():
        return np.asarray(atoms.cell.scaled_positions(atoms.positions))
    return np.linalg.solve(atoms.cell.array.T, atoms.positions.T).T


@lru_cache(maxsize=1024)
def _has_independent_vectors(cell: bytes) -> bool:
    rows = np.frombuffer(cell).reshape(3, 3)
    lengths = np.linalg.norm(rows, axis=1)
    vectors = rows[lengths > 0] / lengths[lengths > 0, None]
    return not np.linalg.det(vectors @ vectors.T) < FLAT_CELL**2  # Gram determinant: the square of the volume


@dataclass(frozen=True, eq=False)
class Frames:
    """An ordered set of structures as flat columns, so that 100,000 of them load in about a second.

    Atoms of frame `i` are the rows `offsets[i]:offsets[i + 1]` of `numbers`, `positions` and `forces`. Energy, forces and
    stress of a frame that is not `labelled` are zero and never handed out.

    :param numbers: atomic numbers, shape (n_atoms,).
    :param positions: Å, shape (n_atoms, 3).
    :param cells: Å, rows are lattice vectors, shape (n_frames, 3, 3).
    :param pbc: periodic directions, shape (n_frames, 3).
    :param offsets: first atom of each frame and the end, shape (n_frames + 1,).
    :param energy: eV, total energy of the cell, shape (n_frames,).
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, ASE's sign and Voigt order (xx, yy, zz, yz, xz, xy), shape (n_frames, 6).
    :param labelled: whether energy and forces are known, shape (n_frames,).
    :param has_stress: whether the stress is known, shape (n_frames,).
    :param round: round of the active-learning loop that made the frame, shape (n_frames,).
    :param uid: hash of the structure, see :func:`uid_of`; `lineage`: uid of the root it descends from; `parent`: uid of the
        structure it was made from, or empty; `config_type`: sqs, strain, rattle, vacancy, md, …; `origin`: JSON of the
        strategy and its parameters; `fingerprint`: level of theory of the label; `label_uuid`: calculation that made it;
        `reason`: why the frame could not be labelled, a value of `common.reasons.Reason`, or empty.
    :raises InvalidFramesError: a shape does not fit, or a number is not finite.
    """

    numbers: IntArray
    positions: FloatArray
    cells: FloatArray
    pbc: BoolArray
    offsets: IntArray
    energy: FloatArray
    forces: FloatArray
    stress: FloatArray
    labelled: BoolArray
    has_stress: BoolArray
    round: IntArray
    uid: TextArray
    lineage: TextArray
    parent: TextArray
    config_type: TextArray
    origin: TextArray
    fingerprint: TextArray
    label_uuid: TextArray
    reason: TextArray

    def __post_init__(self) -> None:
        """Refuse columns of wrong length and numbers that are not finite."""
        n_frames, n_atoms = len(self.offsets) - 1, len(self.numbers)
        if n_frames < 0 or self.offsets[0] != 0 or self.offsets[-1] != n_atoms or (np.diff(self.offsets) < 1).any():
            raise InvalidFramesError(f'offsets must rise from 0 to {n_atoms} (atoms), with at least one atom in each frame')
        for name, shape in _shapes(n_frames, n_atoms).items():
            found = getattr(self, name).shape
            if found != shape:
                raise InvalidFramesError(f'column {name} has shape {found}, expected {shape}')
        for name in ('positions', 'cells', 'energy', 'forces', 'stress'):
            self._require_finite(name)
        if n_atoms and not ((self.numbers > 0) & (self.numbers < len(chemical_symbols))).all():
            raise InvalidFramesError(f'atomic numbers must lie in 1..{len(chemical_symbols) - 1}, got {self.numbers.min()}')
        if (self.has_stress & ~self.labelled).any():
            raise InvalidFramesError('a frame has a stress but no energy and forces')

    def _require_finite(self, name: str) -> None:
        finite = np.isfinite(getattr(self, name))
        if finite.all():
            return
        row = int(np.argwhere(~finite)[0][0])
        frame = row if name not in _ATOM_COLUMNS else int(np.searchsorted(self.offsets, row, side='right') - 1)
        raise InvalidFramesError(f'column {name} of frame {frame} holds a number that is not finite')

    @classmethod
    def from_atoms(cls, structures: Iterable[Atoms]) -> Self:
        """Return the frames of ASE structures.

        Metadata are read from `atoms.info` under the names of the columns; a missing `uid` is computed and a missing `lineage`
        is the frame's own uid. Labels are read from the results of the attached calculator; a frame is labelled when it has
        both energy and forces.

        :raises InvalidFramesError: labels or positions that are not finite.
        """
        atoms = list(structures)
        results = [_labels_of(a) for a in atoms]
        uids = [str(a.info.get('uid') or uid_of(a)) for a in atoms]
        counts = np.array([len(a) for a in atoms], dtype=np.int64)
        text = {
            name: np.array([str(a.info.get(name, '')) for a in atoms], dtype=np.str_)
            for name in _TEXT_COLUMNS
            if name not in ('uid', 'lineage')
        }
        return cls(
            numbers=_stack([a.numbers for a in atoms], (0,), np.int64),
            positions=_stack([a.positions for a in atoms], (0, 3), np.float64),
            cells=np.array([a.cell.array for a in atoms], dtype=np.float64).reshape(-1, 3, 3),
            pbc=np.array([a.pbc for a in atoms], dtype=bool).reshape(-1, 3),
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            energy=np.array([r.energy for r in results], dtype=np.float64),
            forces=_stack([r.forces for r in results], (0, 3), np.float64),
            stress=np.array([r.stress for r in results], dtype=np.float64).reshape(-1, 6),
            labelled=np.array([r.labelled for r in results], dtype=bool),
            has_stress=np.array([r.has_stress for r in results], dtype=bool),
            round=np.array([int(a.info.get('round', 0)) for a in atoms], dtype=np.int64),
            uid=np.array(uids, dtype=np.str_),
            lineage=np.array([str(a.info.get('lineage') or u) for a, u in zip(atoms, uids, strict=True)], dtype=np.str_),
            **text,
        )

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        """Return the frames stored by :meth:`to_arrays`; label columns and `reason` may be absent.

        :raises InvalidFramesError: a column is missing or contradicts another.
        """
        columns = dict(arrays)
        try:
            n_frames, n_atoms = len(columns['offsets']) - 1, len(columns['numbers'])
        except KeyError as error:
            raise InvalidFramesError(f'column {error} is missing; found {sorted(columns)}') from error
        for name, blank in _blank_columns(n_frames, n_atoms).items():
            columns.setdefault(name, blank)
        for name in _TEXT_COLUMNS:
            if name in columns and columns[name].dtype.kind == 'S':
                columns[name] = np.char.decode(columns[name], 'utf-8')
        names = {field.name for field in dataclasses.fields(cls)}
        if names != set(columns):
            raise InvalidFramesError(f'columns missing: {sorted(names - set(columns))}; unknown: {sorted(set(columns) - names)}')
        return cls(**columns)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name, texts as UTF-8 bytes; label columns and `reason` only where some frame has one."""
        left_out = {*(() if self.labelled.any() else _LABEL_COLUMNS), *(() if self.reason.any() else ('reason',))}
        arrays = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in left_out}
        return {name: np.char.encode(a, 'utf-8') if name in _TEXT_COLUMNS else a for name, a in arrays.items()}

    @classmethod
    def load(cls, file: Path | BinaryIO) -> Self:
        """Return the frames of a file written by :meth:`save`."""
        with np.load(file, allow_pickle=False) as stored:
            return cls.from_arrays({name: stored[name] for name in stored.files})

    def save(self, path: Path) -> None:
        """Write the columns to `path` as one `.npz` file."""
        with path.open('wb') as handle:
            self.write(handle)

    def write(self, handle: BinaryIO) -> None:
        """Write what :meth:`save` writes; the same frames are the same bytes."""
        np.savez(handle, **self.to_arrays())  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`

    @classmethod
    def concatenate(cls, parts: Sequence[Frames]) -> Self:
        """Return all frames of `parts`, in their order."""
        if not parts:
            return cls.from_atoms([])
        columns = {
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in dataclasses.fields(cls)
            if f.name != 'offsets'
        }
        counts = np.concatenate([part.counts for part in parts])
        return cls(offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), **columns)

    def take(self, indices: npt.ArrayLike) -> Self:
        """Return the frames at `indices`, in that order."""
        given = np.asarray(indices)
        if given.size and given.dtype.kind not in 'iu':
            raise InvalidFramesError(f'indices must be whole numbers, got {given.dtype}; use np.flatnonzero on a mask')
        chosen = given.astype(np.int64).reshape(-1)
        if len(chosen) and not ((chosen >= 0) & (chosen < len(self))).all():
            raise InvalidFramesError(f'index {chosen.max() if chosen.max() >= len(self) else chosen.min()} of {len(self)} frames')
        counts = self.counts[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[:-1][chosen], counts)
        columns = {
            f.name: getattr(self, f.name)[rows if f.name in _ATOM_COLUMNS else chosen]
            for f in dataclasses.fields(self)
            if f.name != 'offsets'
        }
        return type(self)(offsets=offsets, **columns)

    def replace(self, **columns: Any) -> Self:
        """Return a copy with some columns exchanged; a scalar fills its column."""
        full = {name: np.full(len(self), value) if np.ndim(value) == 0 else np.asarray(value) for name, value in columns.items()}
        return dataclasses.replace(self, **full)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __iter__(self) -> Iterator[Atoms]:
        return (self.atoms(index) for index in range(len(self)))

    @property
    def counts(self) -> IntArray:
        """Number of atoms in each frame, shape (n_frames,)."""
        return np.diff(self.offsets)

    @property
    def elements(self) -> list[str]:
        """Chemical symbols that occur, by atomic number."""
        return [chemical_symbols[z] for z in np.unique(self.numbers)]

    def symbols(self, index: int) -> list[str]:
        """Chemical symbols of the atoms of frame `index`."""
        return [chemical_symbols[z] for z in self.numbers[self.rows(index)]]

    def rows(self, index: int) -> slice:
        """Rows of `numbers`, `positions` and `forces` that belong to frame `index`."""
        return slice(int(self.offsets[index]), int(self.offsets[index + 1]))

    def atoms(self, index: int) -> Atoms:
        """Return frame `index` as ASE atoms; metadata in `info`, labels in a `SinglePointCalculator`."""
        if not -len(self) <= index < len(self):
            raise IndexError(f'frame {index} of {len(self)}')
        index %= len(self)
        rows = self.rows(index)
        atoms = Atoms(numbers=self.numbers[rows], positions=self.positions[rows], cell=self.cells[index], pbc=self.pbc[index])
        atoms.info['round'] = int(self.round[index])
        for name in _TEXT_COLUMNS:
            if text := str(getattr(self, name)[index]):
                atoms.info[name] = text
        if self.labelled[index]:
            labels: dict[str, Any] = {'energy': float(self.energy[index]), 'forces': self.forces[rows].copy()}
            if self.has_stress[index]:
                labels['stress'] = self.stress[index].copy()
            atoms.calc = SinglePointCalculator(atoms, **labels)
        return atoms


@dataclass(frozen=True)
class _Labels:
    labelled: bool
    has_stress: bool
    energy: float
    forces: FloatArray
    stress: FloatArray


def _labels_of(atoms: Atoms) -> _Labels:
    results = getattr(atoms.calc, 'results', {})
    energy, forces, stress = results.get('energy'), results.get('forces'), results.get('stress')
    if energy is None or forces is None:
        return _Labels(False, False, 0.0, np.zeros((len(atoms), 3)), np.zeros(6))
    voigt = np.zeros(6) if stress is None else np.asarray(stress, dtype=np.float64)
    if voigt.shape == (3, 3):
        voigt = np.asarray(full_3x3_to_voigt_6_stress(voigt))
    return _Labels(True, stress is not None, float(energy), np.asarray(forces, dtype=np.float64), voigt)


def _stack(parts: list[npt.NDArray[Any]], empty: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    return np.concatenate(parts).astype(dtype) if parts else np.zeros(empty, dtype=dtype)


def _shapes(n_frames: int, n_atoms: int) -> dict[str, tuple[int, ...]]:
    per_frame = dict.fromkeys(('energy', 'labelled', 'has_stress', 'round', *_TEXT_COLUMNS), (n_frames,))
    return {
        'numbers': (n_atoms,),
        'positions': (n_atoms, 3),
        'forces': (n_atoms, 3),
        'cells': (n_frames, 3, 3),
        'pbc': (n_frames, 3),
        'stress': (n_frames, 6),
        **per_frame,
    }


def _blank_columns(n_frames: int, n_atoms: int) -> dict[str, npt.NDArray[Any]]:
    blank = np.full(n_frames, '', dtype=np.str_)
    return {
        'labelled': np.zeros(n_frames, dtype=bool),
        'has_stress': np.zeros(n_frames, dtype=bool),
        'energy': np.zeros(n_frames),
        'forces': np.zeros((n_atoms, 3)),
        'stress': np.zeros((n_frames, 6)),
        'fingerprint': blank,
        'label_uuid': blank,
        'reason': blank,
    }
