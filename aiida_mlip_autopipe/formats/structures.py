"""Structures, with labels where there are some, out of files: whatever ASE reads, Pacemaker's data sets, JSON of pymatgen."""

from __future__ import annotations

import gzip
import json
import pickle
import sqlite3
from pathlib import Path
from typing import Any, Final

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import ParseError, read
from ase.io.formats import UnknownFileTypeError

from aiida_mlip_autopipe.common.errors import FormatError, InvalidFramesError
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from aiida_mlip_autopipe.formats.lineages import set_lineages
from aiida_mlip_autopipe.formats.materials_project import crystals_of
from aiida_mlip_autopipe.formats.vasp import unconverged_steps

PACEMAKER_SUFFIXES: Final = ('.pckl.gzip', '.pkl.gz', '.pckl.gz')
EXTXYZ_SUFFIXES: Final = ('.extxyz', '.xyz')

IMPORTED = 'imported'
"""config_type of structures that have none of their own."""

_READ_FAILURES = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, RuntimeError, EOFError, AssertionError, StopIteration,
    ImportError, SyntaxError, UnknownFileTypeError, pickle.UnpicklingError, sqlite3.Error, ParseError,
)  # fmt: skip
"""What ASE's readers raise on a file that is not what its name says; they have no exception of their own."""

_ENERGY_COLUMNS = ('energy', 'energy_corrected')


def import_frames(path: Path, level_of_theory: dict[str, Any] | None = None) -> Frames:
    """Return the structures of a file as frames, labelled where the file has energy and forces.

    :param path: extxyz, ase.db, VASP's OUTCAR or vasprun.xml, output of pw.x, Pacemaker's `pckl.gzip`, CIF, POSCAR, …
    :param level_of_theory: what made the labels, as one would compare it: code, functional, pseudopotentials, cutoffs. Its
        fingerprint is written to each labelled frame that has none.
    :raises FormatError: the file cannot be read, has no structure, has labels of which the level of theory is not known, or
        VASP did not converge.
    :raises InvalidFramesError: a number is not finite.
    """
    frames = read_extxyz(path) if path.name.endswith(EXTXYZ_SUFFIXES) else _frames(path)
    kinds = [kind or IMPORTED for kind in frames.config_type.tolist()]
    frames = frames.replace(config_type=np.array(kinds, dtype=np.str_))
    unknown = frames.labelled & (frames.fingerprint == '')
    if not unknown.any():
        return frames
    if not level_of_theory:
        raise FormatError(
            f'{path}: {int(unknown.sum())} of {len(frames)} frames have labels of an unknown level of theory; declare it, for '
            'labels of different levels are never mixed in one fit'
        )
    texts = np.where(unknown, fingerprint_of(level_of_theory), frames.fingerprint)
    return frames.replace(fingerprint=texts)


def read_structures(path: Path) -> list[Atoms]:
    """Return all structures of a file.

    :raises FormatError: ASE cannot read it, or it has no structure.
    """
    try:
        found = _read_pacemaker(path) if path.name.endswith(PACEMAKER_SUFFIXES) else _read_crystals(path) or read(path, index=':')
    except _READ_FAILURES as error:
        raise FormatError(f'{path}: ASE cannot read it ({type(error).__name__}: {error})') from error
    structures = list(found) if isinstance(found, list) else [found]
    if not structures:
        raise FormatError(f'{path}: has no structure')
    return structures


def _frames(path: Path) -> Frames:
    structures = read_structures(path)
    if bad := unconverged_steps(path):
        raise FormatError(f'{path}: {bad} ionic step(s) of VASP did not converge electronically; what they tell is no label')
    for atoms in structures:
        _take_free_energy(atoms)
    try:
        set_lineages(structures)
        return Frames.from_atoms(structures)
    except InvalidFramesError as error:
        raise InvalidFramesError(f'{path}: {error}') from error


def _take_free_energy(atoms: Atoms) -> None:
    """Make the free energy the energy where a program told both: forces and stress are its derivatives.

    VASP's `energy(sigma->0)`, which ASE calls the energy, is another one; pw.x tells the free energy alone.
    """
    results = getattr(atoms.calc, 'results', {})
    if results.get('free_energy') is not None:
        results['energy'] = float(results['free_energy'])


def _read_crystals(path: Path) -> list[Atoms] | None:
    """Return the crystals of a JSON file of the Materials Project, or None where it is another file."""
    if path.suffix != '.json':
        return None
    return crystals_of(json.loads(path.read_text(encoding='utf-8')))


def _read_pacemaker(path: Path) -> list[Atoms]:
    """Return the structures of a Pacemaker data set, a pickled table: only open files that you trust, as with any pickle.

    Energies are taken from the column `energy`, eV, else from `energy_corrected`, eV above the isolated atoms.
    """
    with gzip.open(path) as handle:
        table = pickle.load(handle)
    column = next((name for name in _ENERGY_COLUMNS if name in table.columns), None)
    structures = []
    for _, row in table.iterrows():
        atoms = row['ase_atoms'].copy()
        if column is not None and 'forces' in table.columns:
            atoms.calc = SinglePointCalculator(atoms, energy=float(row[column]), forces=np.asarray(row['forces'], dtype=float))
        structures.append(atoms)
    return structures
