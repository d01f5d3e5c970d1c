"""`ActiveLearningWorkChain`: the whole loop, until it has converged, the budget is spent, or nothing more is learnt."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, if_, while_

from aiida_mlip_autopipe.calculations.frames_functions import pick_starts
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.science.stopping import RoundSummary, StopLimits, StopReason, decide
from aiida_mlip_autopipe.workflows.checks import find_stage_code
from aiida_mlip_autopipe.workflows.explore import ExploreWorkChain
from aiida_mlip_autopipe.workflows.md_test import MdTestWorkChain


class ActiveLearningWorkChain(MdTestWorkChain):
    """generate → select → label → train, then explore → select → label → train in rounds."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the outline."""
        super().define(spec)
        spec.outline(
            *cls.first_round(),
            while_(cls.should_run_round)(
                cls.run_explore,
                cls.inspect_explore,
                if_(cls.should_select)(cls.run_select, cls.inspect_select),
                if_(cls.should_label)(cls.run_label, cls.inspect_label, cls.run_train, cls.inspect_train).else_(
                    cls.close_idle_round
                ),
            ),
            cls.finish,
        )

    def setup(self) -> None:
        """Load the code of the explorer too."""
        super().setup()
        config = MLIPConfig.from_mapping(self.inputs.config.get_dict())
        self.ctx.explore_code = find_stage_code(config.explore, config.worker.code)

    def should_run_round(self) -> bool:
        """Whether another round is worth its labels."""
        return self._decision() is None

    def run_explore(self) -> Any:
        """Submit MD with the newest potential from structures of the training set, and beside it MD for the test set."""
        self.ctx.round += 1
        settings = orm.Dict(self.ctx.config['explore'])
        child = self.submit(
            ExploreWorkChain,
            code=self.ctx.explore_code,
            potential=self.ctx.potential,
            starts=pick_starts(self.ctx.train, settings, self._seed()),
            settings=settings,
            seed=self._seed(),
            round=orm.Int(self.ctx.round),
            options=orm.Dict(self.ctx.config['worker']['options']),
            metadata={'call_link_label': f'explore_{self.ctx.round:02d}'},
        )
        return ToContext(explore=child, **self.submit_md_test())

    def inspect_explore(self) -> ExitCode | None:
        """Take over the candidates; none is a result too."""
        if not self.ctx.explore.is_finished_ok:
            return self._stop(self.exit_codes.ERROR_EXPLORE_FAILED, self.ctx.explore)
        self.ctx.pool = self.ctx.explore.outputs.candidates if 'candidates' in self.ctx.explore.outputs else None
        self.ctx.selected = None
        self.take_md_test()
        return None

    def should_select(self) -> bool:
        """Whether the exploration gave candidates."""
        return self.ctx.pool is not None

    def close_idle_round(self) -> None:
        """Note a round in which nothing was found worth a label."""
        self.close_round(trained=False)

    def finish(self) -> ExitCode | None:
        """Say why the loop ended, and attach the results."""
        decision = self._decision()
        self.ctx.stop_reason = decision.value if decision else None
        self.report(f'stopped after {len(self.ctx.entries)} rounds: {self.ctx.stop_reason}')
        self.results()
        return self.judge()

    def _decision(self) -> StopReason | None:
        loop = self.ctx.config['loop']
        names = ('max_rounds', 'max_labels', 'force_rmse_target', 'patience')
        return decide(_history([entry.get_dict() for entry in self.ctx.entries]), StopLimits(**{n: loop[n] for n in names}))


def _history(entries: list[dict[str, Any]]) -> list[RoundSummary]:
    """Return what decides about the next round; a round without a new fit keeps the test error of the one before."""
    history: list[RoundSummary] = []
    for entry in entries:
        explore, funnel, acquisition = entry['explore'] or {}, entry['funnel'] or {}, entry['acquisition'] or {}
        n_candidates = explore.get('n_candidates')
        history.append(
            RoundSummary(
                round=entry['round'],
                labels_total=entry['labels_total'],
                n_candidates=n_candidates,
                n_selected=None if n_candidates is None else funnel.get('selected', 0),
                test_force_rmse=entry['test_errors']['force_rmse'] if entry['test_errors'] else history[-1].test_force_rmse,
                acquisition_force_rmse=acquisition.get('force_rmse'),
            )
        )
    return history
