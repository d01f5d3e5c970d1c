"""`Trainer`: who fits a potential, with its settings. A trainer is an entry point, and its settings are the section `train`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Final

from pydantic import Field

from aiida_mlip_autopipe.common.entry_points import plugins
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.settings import Settings, tag_of
from aiida_mlip_autopipe.science.checks.settings import ChecksConfig

GROUP: Final = 'mlip_autopipe.trainers'
"""Entry points; each has the name of the process of AiiDA that runs it."""

DEFAULT: Final = 'mlip_autopipe.pod'
"""The trainer that needs LAMMPS alone."""


class Trainer(Settings):
    """Settings that every trainer has; a subclass has a field `trainer`, a `Literal` of its entry point, and what is its own."""

    ENGINE: ClassVar[str]
    """Of its potentials, as in their record, see `engines.lammps.engine`."""

    EXPLORERS: ClassVar[tuple[str, ...]]
    """Entry points of explorers that run its potentials; the first one is taken where none is chosen."""

    MAY_LACK: ClassVar[bool] = False
    """Whether a machine of mlip-worker may lack what runs its potentials, so that it is asked before anything is submitted."""

    code: str | None = Field(
        default=None, description='label of the AiiDA code of the trainer, such as that of pacemaker; null: that of mlip-worker'
    )
    cutoff: float = Field(default=4.5, ge=2, le=12, description='Å, range of the interaction')
    checks: ChecksConfig = ChecksConfig()

    @property
    def name(self) -> str:
        """The entry point."""
        return str(tag_of(type(self)))

    @property
    def start(self) -> Trainer | None:
        """The settings of the fit that comes before the first one and that it starts from; None: it starts from nothing."""
        return None

    @property
    def continues(self) -> bool:
        """Whether later rounds start from the potential of the round before, where the process takes one."""
        return True


@cache
def trainers() -> Mapping[str, type[Trainer]]:
    """Return the registered trainers by their entry points."""
    return plugins(GROUP, _check)


def _check(entry_point: str, found: Any) -> None:
    if not (isinstance(found, type) and issubclass(found, Trainer)):
        raise InputError(f'{entry_point} of {GROUP} must be a subclass of {Trainer.__module__}.Trainer; got {found!r}')
    if (name := tag_of(found)) != entry_point:
        raise InputError(f'{entry_point} of {GROUP} must have the field trainer: Literal[{entry_point!r}]; got {name!r}')
