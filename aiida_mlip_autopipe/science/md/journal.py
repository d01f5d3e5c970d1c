"""`Journal`: files in which a run leaves each check and each candidate at once, so that a crash of its process loses neither."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.md.pool import MEMORY, CandidatePool, Recent
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, TrajectoryEnd

TRACE: Final = 'trace.bin'
CANDIDATES: Final = 'candidates.bin'
RECENT: Final = 'recent.bin'
"""The newest frames, in turn in two files with the suffixes of `ROLLING`, :data:`~science.md.pool.MEMORY` in each."""

RESTART: Final = 'restart.lammps'
"""State at the end of the run; while it goes on, LAMMPS writes it in turn to two files with the suffixes of `ROLLING`."""

ROLLING: Final = ('.1', '.2')

TRACE_COLUMNS: Final = 6
"""step, gamma_max, temperature (K), potential energy (eV), pressure (eV/Å³), bond."""

_HEAD: Final = 11
"""step, gamma_max and the nine numbers of the cell, in front of the atoms of a candidate."""


class Journal:
    """Records of fixed length in 64-bit floats, written without a buffer; a record cut short by a crash is left out.

    :param folder: exists; what an earlier run left there is deleted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._n_recent = 0
        for name in (TRACE, CANDIDATES, *(f'{RECENT}{suffix}' for suffix in ROLLING)):
            (folder / name).write_bytes(b'')

    def note(self, values: tuple[float, ...]) -> None:
        """Append a check: the numbers named at :data:`TRACE_COLUMNS`."""
        self._append(TRACE, np.array(values, dtype=np.float64))

    def keep(self, pool: CandidatePool, *, thinned: bool) -> None:
        """Append the newest candidate, or write all of them anew when older ones were dropped."""
        if not thinned:
            self._append(CANDIDATES, _packed(pool.frames[-1]))
            return
        fresh = self.folder / f'{CANDIDATES}.new'
        fresh.write_bytes(b''.join(_packed(frame).tobytes() for frame in pool.frames))
        fresh.replace(self.folder / CANDIDATES)

    def remember(self, frame: Atoms) -> None:
        """Write a frame in case the run fails."""
        turn, place = divmod(self._n_recent, MEMORY)
        name = f'{RECENT}{ROLLING[turn % len(ROLLING)]}'
        if not place:
            (self.folder / name).write_bytes(b'')
        self._append(name, _packed(frame))
        self._n_recent += 1

    def _append(self, name: str, values: FloatArray) -> None:
        with (self.folder / name).open('ab', buffering=0) as handle:
            handle.write(values.tobytes())


def read_journal(folder: Path, start: Atoms, settings: MdSettings, message: str) -> MdResult | None:
    """Return what a run saw before its process ended without a result; None when it did not reach its first check.

    :param folder: of the journal.
    :param start: start structure of the run.
    :param settings: of the run.
    :param message: why there is no result.
    """
    trace = _records(folder / TRACE, TRACE_COLUMNS)
    if not len(trace):
        return None
    length = _HEAD + 4 * len(start)
    pool = CandidatePool(settings.max_candidates)
    for record in _records(folder / CANDIDATES, length):
        pool.add(_unpacked(record, start))
    recent = Recent()
    remembered = np.concatenate([_records(folder / f'{RECENT}{suffix}', length) for suffix in ROLLING])
    for record in remembered[np.argsort(remembered[:, 0], kind='stable')]:
        recent.add(_unpacked(record, start))
    steps = trace[:, 0].astype(np.int64)
    columns = (trace[:, column].copy() for column in range(1, TRACE_COLUMNS))
    n_selected = int((trace[:, 1] > settings.gamma_select).sum())
    done = MdTrace(steps, *columns)
    return MdResult(pool.chosen(), TrajectoryEnd.ERROR, message, int(steps[-1]), n_selected, done, recent.chosen())


def newest_restart(folder: Path) -> Path | None:
    """Return the restart file of the end of a run, or the newest one that it wrote on the way, or None."""
    final = folder / RESTART
    if final.exists():
        return final
    rolling = [path for suffix in ROLLING if (path := folder / f'{RESTART}{suffix}').exists()]
    return max(rolling, key=lambda path: path.stat().st_mtime_ns, default=None)


def _packed(frame: Atoms) -> FloatArray:
    head = [float(frame.info['step']), float(frame.info['gamma_max'])]
    return np.concatenate([head, frame.cell.array.ravel(), frame.positions.ravel(), frame.arrays['gamma']])


def _unpacked(record: FloatArray, start: Atoms) -> Atoms:
    n_atoms = len(start)
    places, grades = record[_HEAD : _HEAD + 3 * n_atoms], record[_HEAD + 3 * n_atoms :]
    frame = Atoms(numbers=start.numbers, positions=places.reshape(-1, 3), cell=record[2:_HEAD].reshape(3, 3), pbc=True)
    frame.info.update(step=int(record[0]), gamma_max=float(record[1]))
    frame.arrays['gamma'] = grades.copy()
    return frame


def _records(path: Path, length: int) -> FloatArray:
    if not path.exists():
        return np.zeros((0, length))
    values = np.fromfile(path, dtype=np.float64)
    return values[: len(values) // length * length].reshape(-1, length)
