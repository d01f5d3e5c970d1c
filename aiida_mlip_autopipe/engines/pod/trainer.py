"""`PodTrainer`: the settings of a linear fit on LAMMPS's POD descriptors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiida_mlip_autopipe.engines.pod.files import ENGINE
from aiida_mlip_autopipe.science.linear.trainer import LinearTrainer


class PodTrainer(LinearTrainer):
    """Linear fit on POD descriptors, which needs LAMMPS alone."""

    ENGINE = ENGINE

    trainer: Literal['mlip_autopipe.pod'] = Field(default='mlip_autopipe.pod', description='entry point of the trainer')
    basis: Literal['S', 'M', 'L', 'auto'] = Field(
        default='auto',
        description='size of the basis; auto: by evidence, L from 2000 training atoms of the rarest element',
    )
