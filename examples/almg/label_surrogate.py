"""Label Al-Mg frames by pw.x for the surrogate of the demo: label_surrogate.py [COUNT]; each frame is written as it ends."""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.espresso import Espresso, EspressoProfile
from ase.io import read, write

from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.science.generate.settings import structure_builder

HERE = Path(__file__).parent
LABELS = HERE / 'surrogate_labels.extxyz'
CONFIG = HERE / 'config.yaml'
PSEUDO_DIR = '/usr/share/espresso/pseudo'
PSEUDOS = {'Al': 'Al.pz-vbc.UPF', 'Mg': 'Mg.pz-n-vbc.UPF'}
KSPACING = 0.38
"""1/Å, 2 pi folded in, as in the demo: a 4x4x4 mesh for every cell. Meshes of 4, 5 and 6 give energies that differ by 14 to
36 meV/atom here, so frames of different meshes (the 36 of tests/fixtures/almg have 5x5x3) must not be mixed in one fit."""

SEED = 11
SHARE_SHAKEN = 0.3
SHAKE = (0.1, 0.2)
"""Å, standard deviations of an extra displacement of this share of the frames: what MD at high temperature looks like."""

EXTRA_COMPOSITIONS = ({'Al': 0.25, 'Mg': 0.75}, {'Al': 0.625, 'Mg': 0.375})


def candidates() -> Iterator[Atoms]:
    """Yield the frames of the project's generator with the settings of the demo and two more compositions, shuffled."""
    config = MLIPConfig.from_yaml(CONFIG)
    system = config.system.model_dump()
    system['compositions'] = [*system['compositions'], *EXTRA_COMPOSITIONS]
    rng = np.random.default_rng(SEED)
    frames = list(structure_builder(system, config.generate.model_dump()).build(rng))
    for index in rng.permutation(len(frames)):
        atoms = frames[index]
        if rng.random() < SHARE_SHAKEN:
            atoms.positions += rng.normal(0, rng.uniform(*SHAKE), atoms.positions.shape)
            atoms.info['config_type'] = 'shaken'
        yield atoms


def labelled(atoms: Atoms, folder: Path) -> Atoms:
    """Return the frame with energy (eV), forces (eV/Å) and stress (eV/Å³) of pw.x."""
    lengths = np.linalg.norm(atoms.cell.reciprocal(), axis=1) * 2 * np.pi
    mesh = tuple(int(n) for n in np.maximum(1, np.ceil(lengths / KSPACING)))
    data = {
        'control': {'calculation': 'scf', 'tstress': True, 'tprnfor': True, 'outdir': './o'},
        'system': {'ecutwfc': 18, 'nosym': True, 'occupations': 'smearing', 'degauss': 0.02, 'smearing': 'mv'},
        'electrons': {'conv_thr': 1e-8, 'mixing_beta': 0.5},
    }
    result = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    result.info['config_type'] = atoms.info['config_type']
    profile = EspressoProfile(command='pw.x', pseudo_dir=PSEUDO_DIR)
    result.calc = Espresso(profile=profile, pseudopotentials=PSEUDOS, input_data=data, kpts=mesh, directory=folder)
    result.get_potential_energy(), result.get_forces(), result.get_stress()
    return result


def main(count: int) -> None:
    """Label those of the first `count` candidates that are not in the file yet; one that pw.x gives up is left out."""
    frames = read(LABELS, ':') if LABELS.exists() else []
    done = {frame.info['index'] for frame in frames}
    for index, atoms in enumerate(itertools.islice(candidates(), count)):
        if index in done:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                frame = labelled(atoms, Path(folder))
            except subprocess.CalledProcessError as error:  # pw.x ends with status 2 where the SCF does not converge
                print(f'{index} {atoms.info["config_type"]} left out: {error}', flush=True)
                continue
        frame.info |= {'index': index, 'lineage': atoms.info['lineage']}
        frame.calc.results = {name: frame.calc.results[name] for name in ('energy', 'forces', 'stress')}
        frames = sorted([*frames, frame], key=lambda one: one.info['index'])
        write(LABELS, frames)
        print(f'{index} {atoms.info["config_type"]} {frame.get_potential_energy() / len(frame):.4f} eV/atom', flush=True)


if __name__ == '__main__':
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 120)
