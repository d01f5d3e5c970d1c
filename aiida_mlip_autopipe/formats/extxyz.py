"""Extended XYZ: the text format in which frames travel to and from other programs, without loss of digits or of metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import TextIO
from uuid import uuid4

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.io.extxyz import key_val_str_to_dict, read_xyz
from ase.stress import voigt_6_to_full_3x3_stress

from aiida_mlip_autopipe.common.errors import FormatError, InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.lineages import set_lineages

TEXT_KEYS = ('uid', 'lineage', 'parent', 'config_type', 'origin', 'fingerprint', 'label_uuid')
"""Columns of :class:`Frames` that stand as text in the comment line; an empty one is left out."""

_JSON_MARK = '_JSON '
_ASE_FAILURES = (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError)
"""What ASE's reader raises on text that is not extended XYZ; it has no exception of its own for most of them."""


def write_extxyz(path: Path, frames: Frames) -> None:
    """Write `frames` so that :func:`read_extxyz` gives back every column exactly; the file appears whole or not at all.

    ASE's writer keeps 8 decimals of positions and forces; here each number has as many digits as it takes to read the same
    64-bit number again. Energy (eV), forces (eV/Å) and stress (eV/Å³) stand under ASE's keys, so that other programs find them.

    :raises FormatError: the file cannot be written.
    """
    fresh = path.with_name(f'.{path.name}.{uuid4().hex}.tmp')
    try:
        with fresh.open('x', encoding='utf-8') as handle:
            handle.writelines(_block(frames, index) for index in range(len(frames)))
            handle.flush()
            os.fsync(handle.fileno())
        fresh.replace(path)
    except OSError as error:
        raise FormatError(f'cannot write {path}: {error}') from error
    finally:
        _discard(fresh)


def read_extxyz(path: Path) -> Frames:
    """Return the frames of an extended XYZ file, written by this package or by another program.

    A missing `uid` is computed, and a missing `lineage` follows from the frames before it, see :mod:`.lineages`. A frame is
    labelled when the file has its `energy` and `forces`. Frames are counted from 0 in error messages.

    :raises FormatError: there is no such file, or it is not extended XYZ.
    :raises InvalidFramesError: a label or a position is not finite, or a column cannot be what it claims.
    """
    try:
        with path.open(encoding='utf-8') as handle:
            structures = [
                _structure(block, f'{path}, frame {number}') for number, block in enumerate(_split_frames(handle, path))
            ]
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f'cannot read {path}: {error}') from error
    try:
        set_lineages(structures)
        return Frames.from_atoms(structures)
    except InvalidFramesError as error:
        raise InvalidFramesError(f'{path}: {error}') from error
    except (ValueError, TypeError) as error:
        raise InvalidFramesError(f'{path}, frame {_first_refused(structures)}: {error}') from error


def _block(frames: Frames, index: int) -> str:
    rows = frames.rows(index)
    columns = [frames.positions[rows], frames.forces[rows]] if frames.labelled[index] else [frames.positions[rows]]
    table = np.hstack(columns).tolist()
    atoms = (f'{symbol} {" ".join(map(repr, row))}\n' for symbol, row in zip(frames.symbols(index), table, strict=True))
    return f'{len(table)}\n{_comment(frames, index)}\n{"".join(atoms)}'


def _comment(frames: Frames, index: int) -> str:
    """Return the comment line: cell, columns, labels, then metadata."""
    pairs = []
    if frames.cells[index].any():
        pairs.append(f'Lattice="{_digits(frames.cells[index])}"')
    pairs.append('Properties=species:S:1:pos:R:3' + (':forces:R:3' if frames.labelled[index] else ''))
    pairs.append(f'pbc="{" ".join("T" if periodic else "F" for periodic in frames.pbc[index])}"')
    if frames.labelled[index]:
        pairs.append(f'energy={float(frames.energy[index])!r}')
    if frames.has_stress[index]:
        pairs.append(f'stress="{_digits(voigt_6_to_full_3x3_stress(frames.stress[index]))}"')
    pairs.append(f'round={int(frames.round[index])}')
    texts = ((key, str(getattr(frames, key)[index])) for key in TEXT_KEYS)
    return ' '.join([*pairs, *(f'{key}={_text(key, text)}' for key, text in texts if text)])


def _digits(values: npt.NDArray[np.float64]) -> str:
    """Return numbers in C order, each with the digits that identify it among 64-bit numbers."""
    return ' '.join(map(repr, values.ravel().tolist()))


def _text(key: str, text: str) -> str:
    """Return `text` as ASE's reader gives it back: it takes '1e5', 'T' and '1 2' for numbers and truth values.

    Only texts that would change are written in ASE's JSON form, which it decodes by itself.
    """
    plain = _quote(text)
    if text.isascii() and text.isprintable() and not text.startswith(_JSON_MARK):
        found = key_val_str_to_dict(f'{key}={plain}')[key]
        if isinstance(found, str) and found == text:
            return plain
    return _quote(_JSON_MARK + json.dumps(text))


def _quote(text: str) -> str:
    escaped = text.replace('\\', '\\\\').replace('"', '\\"')
    return f'"{escaped}"'


def _discard(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        # The folder is gone or closed; the error of the write says so already.
        return


def _split_frames(lines: TextIO, path: Path) -> Iterator[str]:
    """Yield the text of one frame after the other; ASE's reader would stop silently at the first blank line."""
    number = 0
    for header in lines:
        if not header.strip():
            continue
        n_atoms = int(header) if header.strip().isdecimal() else 0
        if n_atoms < 1:
            raise FormatError(f'{path}, frame {number}: expected a number of atoms, got {header.strip()[:60]!r}')
        body = list(islice(lines, n_atoms + 1))
        if len(body) <= n_atoms:
            raise FormatError(f'{path}, frame {number}: ends after {max(len(body) - 1, 0)} of {n_atoms} atoms')
        yield header + ''.join(body)
        number += 1


def _structure(block: str, where: str) -> Atoms:
    try:
        atoms: Atoms = next(read_xyz(StringIO(block), index=0))
        uid = atoms.info.get('uid')
        if isinstance(uid, str) and uid.startswith(_JSON_MARK):
            # ASE decodes every other key by itself, but hands out `uid` as it stands.
            atoms.info['uid'] = json.loads(uid.removeprefix(_JSON_MARK))
    except _ASE_FAILURES as error:
        raise FormatError(f'{where}: not extended XYZ ({type(error).__name__}: {error})') from error
    return atoms


def _first_refused(structures: Iterable[Atoms]) -> int:
    for number, atoms in enumerate(structures):
        try:
            Frames.from_atoms([atoms])
        except (InvalidFramesError, ValueError, TypeError):
            return number
    return 0
