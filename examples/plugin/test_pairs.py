"""That the plug-in conforms: `pytest test_pairs.py`, where both packages are installed."""

import numpy as np
import pytest
from ase.build import bulk
from mlip_pairs.checks import Squeeze

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.labeller import Labeller
from aiida_mlip_autopipe.science.trainer import Trainer
from aiida_mlip_autopipe.testing import (
    conforming_labeller,
    conforming_plugin,
    conforming_process,
    conforming_settings,
    conforming_strategy,
    conforming_trainer,
)

KINDS = [
    (Labeller, 'pairs.label', {'labeller': 'pairs.label', 'code': 'mlip-worker@localhost'}),
    (Trainer, 'pairs.train', {'trainer': 'pairs.train', 'cutoff': 6.9}),
    (Explorer, 'pairs.explore', {'explorer': 'pairs.explore'}),
]
CRYSTAL = bulk('Cu', a=3.6, cubic=True) * (2, 2, 2)


def shaken(count):
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        atoms = CRYSTAL.copy()
        atoms.symbols[::3] = 'Au'
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
        made.append(atoms)
    return Frames.from_atoms(made)


@pytest.mark.parametrize(('kind', 'name', 'values'), KINDS)
def test_settings_and_process(kind, name, values):
    conforming_plugin(kind, name, values)
    conforming_process(kind, name)


def test_the_strategy_stretches():
    made = conforming_strategy('pairs_stretch', CRYSTAL, {'factors': [0.9, 1.1]})
    assert [atoms.cell.lengths()[0] for atoms in made] == pytest.approx([0.9 * 7.2, 1.1 * 7.2])


def test_the_check_has_settings():
    conforming_settings(Squeeze, {'factor': 0.9})


def test_the_trainer_finds_the_pairs_that_labelled(tmp_path):
    for name in ('label', 'train'):
        (tmp_path / name).mkdir()
    labelled = conforming_labeller('pairs.label', shaken(6), KINDS[0][2], tmp_path / 'label')
    report = conforming_trainer('pairs.train', labelled, ['Au', 'Cu'], KINDS[1][2], tmp_path / 'train')
    assert report['training_errors']['force_rmse'] < 1e-3
