"""Recorded runs of Pacemaker: the folders, the data that was fitted, and the settings that give the recorded `input.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames

FIXTURES = Path(__file__).parent / 'fixtures' / 'pacemaker'
FAILURES = sorted(path.name for path in (FIXTURES / 'failures').iterdir())
FITS = ('fit_al', 'fit_alcu', 'ladder', 'upfit_p', 'upfit_ip', 'upfit_inityaml', 'al_loop')

LINEAR = FIXTURES / 'linear_almg' / 'output_potential.yaml'
"""Linear ACE for Al-Mg, 40 functions for each element, 5 Å."""

FINGERPRINT = 'emt'
ALONE = {'Al': -1.5, 'Cu': -2.25}
"""eV; added to the recorded energies, so that something must be subtracted from them again."""

ALONE_ALMG = {'Al': -52.949, 'Mg': -27.414}
"""eV, of the labels of Al-Mg by `pw.x`, which the linear potential was fitted to."""

REGULARISED = {'initial_potential': 'none', 'kappa': 0.3, 'l1': 1e-8, 'l2': 1e-8, 'optimizer': 'BFGS', 'batch_size': 20}
BASIS = {
    'b_basis_size': 60,
    'functions': {'ALL': {'nradmax_by_orders': [12, 5, 3, 2], 'lmax_by_orders': [0, 3, 2, 1]}},
    'embeddings': {'ALL': {'npot': 'FinnisSinclairShiftedScaled', 'fs_parameters': [1, 1, 1, 0.5], 'ndensity': 2}},
    'bonds': {'ALL': {'radbase': 'SBessel', 'radparameters': [5.25], 'dcut': 0.01, 'cutoff_function': 'cos'}},
}
SMALL = {
    **REGULARISED,
    'b_basis_size': 10,
    'functions': {'ALL': {'nradmax_by_orders': [5, 2], 'lmax_by_orders': [0, 1]}},
    'embeddings': {'ALL': {'npot': 'FinnisSinclairShiftedScaled', 'fs_parameters': [1, 1], 'ndensity': 1}},
    'batch_size': 10,
    'max_iter': 3,
}


def settings(**pacemaker: Any) -> dict[str, Any]:
    """Return the settings of the main recorded fit; a keyword exchanges a key."""
    return {'cutoff': 6.0, **REGULARISED, **BASIS, 'max_iter': 150, **pacemaker}


def frames(name: str = 'al_emt', count: int | None = None, *, labelled: bool = True) -> Frames:
    """Return recorded structures with total energies."""
    table = pd.read_pickle(FIXTURES / 'data' / f'{name}.pckl.gzip', compression='gzip')
    structures = []
    for row in table.iloc[:count].itertuples():
        atoms = row.ase_atoms.copy()
        alone = sum(ALONE[symbol] for symbol in atoms.symbols)
        if labelled:
            atoms.calc = SinglePointCalculator(atoms, energy=row.energy_corrected + alone, forces=row.forces)
        atoms.info = {'config_type': 'rattle', **({'fingerprint': FINGERPRINT} if labelled else {})}
        structures.append(atoms)
    return Frames.from_atoms(structures)


def almg(count: int | None = None) -> Frames:
    """Return alloys of eight or seven atoms labelled by `pw.x`."""
    structures = []
    for labelled in read(FIXTURES / 'data' / 'almg.extxyz', f':{"" if count is None else count}'):
        labelled.info = {'config_type': 'rattle', 'fingerprint': FINGERPRINT}
        structures.append(labelled)
    return Frames.from_atoms(structures)


def references(*elements: str, energies: dict[str, float] = ALONE) -> Frames:
    """Return the isolated atoms."""
    structures = []
    for element in elements:
        atoms = Atoms(element, cell=[12.0] * 3, pbc=True, positions=[[6.0] * 3])
        atoms.calc = SinglePointCalculator(atoms, energy=energies[element], forces=[[0.0] * 3])
        atoms.info = {'config_type': ISOLATED_ATOM, 'fingerprint': FINGERPRINT}
        structures.append(atoms)
    return Frames.from_atoms(structures)


def text(folder: str, name: str) -> str:
    """Return the text of a recorded file."""
    return (FIXTURES / folder / name).read_text(encoding='utf-8')


def files(folder: str = 'fit_al') -> dict[str, bytes]:
    """Return the three files of a recorded potential by name."""
    names = ('output_potential.yaml', 'output_potential.yace', 'output_potential.asi')
    return {name: (FIXTURES / folder / name).read_bytes() for name in names}
