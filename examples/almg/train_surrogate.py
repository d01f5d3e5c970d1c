"""Train the small MACE model of the demo: train_surrogate.py, from the root; writes surrogate.model and surrogate.md here.

Data: the frames that label_surrogate.py labelled by pw.x, all with one k-point mesh. Whole lineages are the test set: no frame of
a decoration that was tested is among those that were trained on. The last part of the training weighs energies up.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write
from label_surrogate import KSPACING, LABELS

from aiida_mlip_autopipe.engines.mace.mace import evaluate
from aiida_mlip_autopipe.engines.mace.model import MaceModel

HERE = Path(__file__).parent
MODEL = HERE / 'surrogate.model'
NOTE = HERE / 'surrogate.md'
ISOLATED = {13: -52.949, 12: -27.414}
"""eV, isolated atoms of pw.x 6.7 with the settings of the frames, not spin polarised."""

EPOCHS = 240
LAST_PART = 160
"""Epoch from which energies weigh more."""

SEED = 3
TEST_LINEAGES = 2
SETTINGS = {
    'model': 'ScaleShiftMACE',
    'r_max': 5.0,
    'hidden_irreps': '16x0e + 16x1o',
    'MLP_irreps': '16x0e',
    'radial_MLP': '[32, 32]',
    'max_ell': 2,
    'correlation': 2,
    'num_interactions': 2,
    'E0s': str(ISOLATED),
    'loss': 'universal',
    'energy_weight': 3,
    'forces_weight': 10,
    'stress_weight': 10,
    'compute_stress': True,
    'error_table': 'PerAtomRMSEstressvirials',
    'batch_size': 4,
    'valid_batch_size': 16,
    'lr': 0.01,
    'scheduler': 'ExponentialLR',
    'lr_scheduler_gamma': 0.988,
    'ema_decay': 0.98,
    'max_num_epochs': EPOCHS,
    'start_swa': LAST_PART,
    'swa_lr': 0.001,
    'swa_energy_weight': 100,
    'swa_forces_weight': 10,
    'swa_stress_weight': 10,
    'eval_interval': 4,
    'default_dtype': 'float32',
    'device': 'cpu',
    'seed': SEED,
    'plot': False,
    'energy_key': 'REF_energy',
    'forces_key': 'REF_forces',
    'stress_key': 'REF_stress',
}


def plain(frames: Sequence[Atoms]) -> list[Atoms]:
    """Return the frames with their labels under the names that MACE reads."""
    found = []
    for frame in frames:
        atoms = Atoms(frame.symbols, frame.positions, cell=frame.cell, pbc=True)
        atoms.info = {'REF_energy': frame.get_potential_energy(), 'REF_stress': frame.get_stress(voigt=False).ravel()}
        atoms.arrays['REF_forces'] = frame.get_forces()
        found.append(atoms)
    return found


def split(frames: Sequence[Atoms]) -> tuple[list[Atoms], list[Atoms]]:
    """Return the frames to train on and those of some lineages of alloys, chosen at random, to test on."""
    of = np.array([frame.info['lineage'] for frame in frames])
    alloys = sorted({name for name, frame in zip(of, frames, strict=True) if len(set(frame.numbers)) > 1})
    chosen = np.random.default_rng(SEED).choice(alloys, TEST_LINEAGES, replace=False)
    is_test = np.isin(of, chosen)
    return [f for f, t in zip(frames, is_test, strict=True) if not t], [f for f, t in zip(frames, is_test, strict=True) if t]


def fit(train: Sequence[Atoms], valid: Sequence[Atoms], folder: Path) -> Path:
    """Return the model file that MACE's own program makes."""
    for name, part in (('train', train), ('valid', valid)):
        write(folder / f'{name}.extxyz', plain(part))
    words = [word for name, value in SETTINGS.items() for word in (f'--{name}={value}',)]
    files = ['--name=surrogate', '--train_file=train.extxyz', '--valid_file=valid.extxyz', '--ema', '--swa', '--save_cpu']
    program = Path(sys.executable).parent / 'mace_run_train'
    subprocess.run([program, *files, *words], cwd=folder, check=True, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    return folder / 'surrogate_stagetwo.model'


def errors(frames: Sequence[Atoms]) -> tuple[float, float, float]:
    """Return the root mean square errors of energy (meV/atom), forces (meV/Å) and stress (GPa) of the written model."""
    found = evaluate(MaceModel.load(MODEL, device='cpu', dtype='float64'), list(frames))
    sizes = np.array([len(frame) for frame in frames])
    energy = (found.energies - [f.get_potential_energy() for f in frames]) / sizes
    forces = found.forces - np.concatenate([f.get_forces() for f in frames])
    stress = found.stresses - [f.get_stress() for f in frames]
    return tuple(float(np.sqrt((x**2).mean()) * unit) for x, unit in ((energy, 1e3), (forces, 1e3), (stress, 160.21766208)))


def main() -> None:
    """Train, keep the model, and write what it was made of and how good it is."""
    frames = read(LABELS, ':')
    train, test = split(frames)
    is_valid = np.isin(np.arange(len(train)), np.random.default_rng(SEED).choice(len(train), len(train) // 12, replace=False))
    parts = [[f for f, v in zip(train, is_valid, strict=True) if v == wanted] for wanted in (False, True)]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(fit(*parts, Path(folder)), MODEL)
    minutes = os.times().children_user / 60
    lines = [
        '# The surrogate of the demo',
        '',
        'Written by `python examples/almg/train_surrogate.py` '
        f'({EPOCHS} epochs, {minutes:.0f} minutes of one core); do not edit. A small MACE model (ScaleShiftMACE, '
        f'{SETTINGS["hidden_irreps"]}, cutoff {SETTINGS["r_max"]} Å, {MODEL.stat().st_size // 1000} kB), for Al-Mg only.',
        '',
        f'Data: {len(frames)} frames of `{LABELS.name}` '
        f'({", ".join(f"{n} {name}" for name, n in sorted(Counter(f.info["config_type"] for f in frames).items()))}), 7 or 8 '
        'atoms each, labelled by `python examples/almg/label_surrogate.py` with `pw.x` 6.7 (LDA, 18 Ry, Marzari-Vanderbilt '
        f'0.02 Ry, k-points {KSPACING}/Å with 2π: 4x4x4 for each frame). The errors are those against labels of this mesh, '
        'which is not converged itself: see `KSPACING` in that script.',
        '',
        '| set | frames | energy, meV/atom | forces, meV/Å | stress, GPa |',
        '|---|---|---|---|---|',
    ]
    sets = {'training': parts[0], 'validation (chose the epoch)': parts[1], 'test (lineages of its own)': test}
    for name, part in sets.items():
        energy, force, stress = errors(part)
        lines.append(f'| {name} | {len(part)} | {energy:.1f} | {force:.0f} | {stress:.2f} |')
    spread = np.sqrt((np.concatenate([f.get_forces() for f in test]) ** 2).mean())
    lines += ['', f'RMS of the force components of the test set: {1e3 * spread:.0f} meV/Å.', '']
    NOTE.write_text('\n'.join(lines), encoding='utf-8')


if __name__ == '__main__':
    main()
