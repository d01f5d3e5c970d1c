"""LAMMPS's text dumps: frames with per-atom columns such as the extrapolation grade, and the structures that they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

_ITEM: Final = 'ITEM: '


@dataclass(frozen=True, eq=False)
class DumpFrame:
    """One frame of a dump, atoms in the order of their identifiers.

    :param step: time step.
    :param cell: Å, lower triangular as LAMMPS has it, shape (3, 3).
    :param origin: Å, lower corner of the cell, shape (3,).
    :param columns: names of the per-atom columns.
    :param values: in LAMMPS's units, shape (n_atoms, n_columns).
    """

    step: int
    cell: FloatArray
    origin: FloatArray
    columns: tuple[str, ...]
    values: FloatArray

    def column(self, name: str) -> FloatArray:
        """Return one per-atom column, shape (n_atoms,).

        :raises FormatError: the dump does not have it.
        """
        if name not in self.columns:
            raise FormatError(f'the dump has no column {name}; it has {", ".join(self.columns)}')
        return self.values[:, self.columns.index(name)]

    @property
    def types(self) -> IntArray:
        """LAMMPS's atom types, from 1, shape (n_atoms,)."""
        return self.column('type').astype(np.int64)

    @property
    def positions(self) -> FloatArray:
        """Å, in LAMMPS's frame, shape (n_atoms, 3)."""
        return np.column_stack([self.column(axis) for axis in 'xyz'])


def read_dump(text: str, every: int) -> list[DumpFrame]:
    """Return the frames at steps that are multiples of `every`, each step once; a frame that was cut short is left out.

    :param text: dump of the style `custom`.
    :param every: steps between two checks of the grade; frames between them carry the grade of the check before.
    :raises FormatError: the text is no dump.
    """
    frames = {frame.step: frame for frame in _frames(text) if frame.step % every == 0}
    return [frames[step] for step in sorted(frames)]


def structure_of(frame: DumpFrame, start: Atoms, elements: Sequence[str]) -> Atoms:
    """Return the structure of a frame in the orientation of the structure that the run began with, atoms wrapped.

    :param start: what was written to the data file, atoms in the order of their identifiers.
    :param elements: chemical symbols in the order of the atom types.
    :raises FormatError: the frame has other atoms than the start.
    """
    kinds = frame.types
    if kinds.min() < 1 or kinds.max() > len(elements):
        raise FormatError(f'the dump has atom types {kinds.min()} to {kinds.max()}, the potential has {len(elements)} elements')
    symbols = [elements[kind - 1] for kind in kinds]
    if symbols != start.get_chemical_symbols():
        raise FormatError(f'the dump of step {frame.step} has other atoms than the start structure {start.symbols}')
    turn = Prism(start.cell.array, pbc=True).rot_mat.T
    positions = (frame.positions - frame.origin) @ turn
    atoms = Atoms(numbers=start.numbers, positions=positions, cell=frame.cell @ turn, pbc=True)
    atoms.wrap()
    return atoms


def _frames(text: str) -> Iterator[DumpFrame]:
    if text and not text.startswith(_ITEM):
        raise FormatError(f'a dump begins with "{_ITEM.strip()}", found {text[:60]!r}')
    head = f'{_ITEM}TIMESTEP\n'
    for part in text[: text.rfind('\n') + 1].split(head)[1:]:
        if (frame := _frame(part)) is not None:
            yield frame


def _frame(text: str) -> DumpFrame | None:
    """Return the frame of the text after its first line, or None when the text ends before the last atom."""
    step, _, rest = text.partition('\n')
    sections = dict(map(_section, rest.split(_ITEM)[1:]))
    counts = [body for title, body in sections.items() if title.startswith('NUMBER OF ATOMS')]
    bounds = [(title, body) for title, body in sections.items() if title.startswith('BOX BOUNDS')]
    atoms = [(title, body) for title, body in sections.items() if title.startswith('ATOMS')]
    if not (counts and bounds and atoms):
        return None
    columns = tuple(atoms[0][0].split()[1:])
    try:
        rows = np.array([[float(word) for word in line.split()] for line in atoms[0][1]])
        if len(rows) < int(counts[0][0]):
            return None
        cell, origin = _cell(*bounds[0])
        time = int(step)
    except ValueError as error:
        raise FormatError(f'the dump at step {step.strip()} cannot be read: {error}') from error
    if rows.ndim != 2 or rows.shape[1] != len(columns) or 'id' not in columns:
        raise FormatError(f'the dump at step {time} has the columns {columns}, which its rows do not fit or lack the id')
    return DumpFrame(time, cell, origin, columns, rows[np.argsort(rows[:, columns.index('id')], kind='stable')])


def _section(text: str) -> tuple[str, list[str]]:
    title, _, body = text.partition('\n')
    return title, body.splitlines()


def _cell(title: str, lines: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Return cell and lower corner; for a tilted cell the dump gives the box around it, not its edges.

    xlo_bound = xlo + min(0, xy, xz, xy + xz), xhi_bound = xhi + max(0, xy, xz, xy + xz), ylo_bound = ylo + min(0, yz), …
    """
    numbers = np.array([[float(word) for word in line.split()] for line in lines])
    tilts = numbers[:, 2] if 'xy xz yz' in title else np.zeros(3)
    xy, xz, yz = tilts
    shifts = np.array([[min(0.0, xy, xz, xy + xz), max(0.0, xy, xz, xy + xz)], [min(0.0, yz), max(0.0, yz)], [0.0, 0.0]])
    low, high = (numbers[:, :2] - shifts).T
    (lx, ly, lz) = high - low
    return np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]]), low
