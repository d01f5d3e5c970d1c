"""`Labeller`: what labels structures. A labeller is an entry point, and its settings are the section `label`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field, PositiveFloat

from aiida_mlip_autopipe.common.job_options import JobOptions
from aiida_mlip_autopipe.common.plugin import Plugin

LABELLER: Final = 'entry point of the process that turns frames into labelled frames'


class Labeller(Plugin):
    """Settings that every labeller has; a subclass has a field `labeller`, a `Literal` of its entry point, and what is its own.

    Its process has the inputs `code`, `frames`, `settings` and, where it wants `mlip-worker` too, `worker_code`; it gives
    `labelled`, `report` and, where it has any, `quarantined`.
    """

    GROUP = 'mlip_autopipe.labellers'
    SECTION = 'label'
    KEY = 'labeller'
    DEFAULT = 'mlip_autopipe.label'
    GONE = {'settings': 'the keys of a labeller of another package stand in label itself'}

    code: str = Field(description='label of the AiiDA code that the labeller runs, such as pw@localhost')
    isolated_box: float = Field(default=12.0, ge=6, le=40, description='Å, edge of the cubic box of the isolated atoms')
    force_cap: PositiveFloat = Field(default=50.0, description='eV/Å, frames with a larger force are quarantined')
    outlier_zscore: float | None = Field(
        default=20.0,
        gt=3,
        description='energies per atom further than this from their config_type, in robust standard deviations, are quarantined; '
        'null keeps them',
    )
    max_failure_rate: float = Field(
        default=0.5, ge=0, le=1, description='fraction of failed frames above which the run stops with a table of reasons'
    )
    options: JobOptions = JobOptions()

    def problem_with(self, elements: Sequence[str]) -> str | None:
        """Return why structures of these elements cannot be labelled, with the field at its beginning, or None."""
        return None
