"""`OneShotWorkChain`: generate, select, label and train once, without exploring: the "cycle 02" run."""

from __future__ import annotations

from typing import Any

from aiida.engine import ExitCode

from aiida_mlip_autopipe.workflows.stages import StagesWorkChain


class OneShotWorkChain(StagesWorkChain):
    """One round, from a configuration to a potential with its errors on a test set of other lineages."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the outline."""
        super().define(spec)
        spec.outline(
            *cls.first_round(),
            cls.finish,
        )

    def finish(self) -> ExitCode | None:
        """Attach the results of the only round."""
        self.ctx.stop_reason = 'one_shot'
        self.results()
        return self.judge()
