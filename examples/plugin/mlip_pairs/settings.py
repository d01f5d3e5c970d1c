"""What a user writes: a strategy, a labeller, and a trainer with its explorer."""

import json
from typing import Literal

import numpy as np
from pydantic import Field

from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from aiida_mlip_autopipe.science.generate.strategy import Kind, Strategy
from aiida_mlip_autopipe.science.labeller import Labeller
from aiida_mlip_autopipe.science.trainer import Trainer


class Stretch(Strategy):
    """Each base, stretched along one lattice vector."""

    KIND = Kind.FIXED
    CONFIG_TYPES = frozenset({'stretch'})
    factors: list[float] = Field(default=[0.95, 1.05], description='length of the vector in units of that of the base')

    def __call__(self, given, rng):
        for factor in self.factors:
            atoms = given.copy()
            atoms.set_cell(np.diag([factor, 1.0, 1.0]) @ atoms.cell.array, scale_atoms=True)
            atoms.info = {'config_type': 'stretch', 'origin': json.dumps({'strategy': 'pairs.stretch', 'factor': factor})}
            yield atoms


class PairLabeller(Labeller):
    """Labels by Lennard-Jones pairs, the same for all elements."""

    labeller: Literal['pairs.label'] = Field(default='pairs.label', description='entry point of the labeller')
    sigma: float = Field(default=2.3, gt=0, description='Å')
    epsilon: float = Field(default=0.3, gt=0, description='eV')


class PairTrainer(Trainer):
    """One pair potential for all elements, powers of the distance by least squares."""

    ENGINE = 'pairs.table'
    EXPLORER = 'pairs.explore'
    trainer: Literal['pairs.train'] = Field(default='pairs.train', description='entry point of the trainer')
    rcond: float = Field(default=1e-12, gt=0, lt=1, description='cut of the singular values, dimensionless')


class PairMd(LammpsMd):
    """MD with these potentials alone."""

    ENGINES = ('pairs.table',)
    explorer: Literal['pairs.explore'] = Field(default='pairs.explore', description='entry point of the explorer')
