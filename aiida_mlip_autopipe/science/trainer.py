"""`Trainer`: who fits a potential, with its settings. A trainer is an entry point, and its settings are the section `train`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from aiida_mlip_autopipe.common.plugin import Plugin
from aiida_mlip_autopipe.science.checks.settings import ChecksConfig


class Trainer(Plugin):
    """Settings that every trainer has; a subclass has a field `trainer`, a `Literal` of its entry point, and what is its own."""

    GROUP = 'mlip_autopipe.trainers'
    SECTION = 'train'
    KEY = 'trainer'
    DEFAULT = 'mlip_autopipe.pod'

    ENGINE: ClassVar[str]
    """Of its potentials, as in their record, see `engines.lammps.engine`."""

    EXPLORER: ClassVar[str] = 'mlip_autopipe.lammps_md'
    """Entry point of the explorer that runs its potentials where none is chosen."""

    MAY_LACK: ClassVar[bool] = False
    """Whether a machine of mlip-worker may lack what runs its potentials, so that it is asked before anything is submitted."""

    code: str | None = Field(
        default=None,
        description='label of the AiiDA code of the trainer, where it is a program of its own; null: that of mlip-worker',
    )
    cutoff: float = Field(default=4.5, ge=2, le=12, description='Å, range of the interaction')
    checks: ChecksConfig = ChecksConfig()

    @property
    def start(self) -> Trainer | None:
        """The settings of the fit that comes before the first one and that it starts from; None: it starts from nothing."""
        return None

    @property
    def continues(self) -> bool:
        """Whether later rounds start from the potential of the round before, where the process takes one."""
        return True
