"""`ActiveLearningWorkChain`: the whole loop, until it has converged, the budget is spent, or nothing more is learnt."""

from __future__ import annotations

import math
from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, if_, while_

from aiida_mlip_autopipe.calculations.frames_functions import pick_starts
from aiida_mlip_autopipe.config.loop import ActiveLearningConfig
from aiida_mlip_autopipe.config.selection import RANDOM
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.lammps.explorer import sampling
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.stopping import Decision, Exam, Gate, RoundSummary, StopLimits, StopReason, best_round, decide
from aiida_mlip_autopipe.workflows.explore import ExploreWorkChain
from aiida_mlip_autopipe.workflows.md_test import MdTestWorkChain
from aiida_mlip_autopipe.workflows.properties import PropertiesWorkChain, gate_inputs


class ActiveLearningWorkChain(MdTestWorkChain):
    """generate → select → label → train, then explore → select → label → train in rounds.

    Exploring is an exam, too: what it says of the newest potential, with the errors on the frozen test set and the physics gate,
    decides whether the loop has converged before anything more is bought.
    """

    EXPLORES = True
    CODES = {**MdTestWorkChain.CODES, 'explore': 'the explorer, or of `mlip-worker`'}

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define the outline."""
        super().define(spec)
        spec.outline(
            *cls.first_round(),
            while_(cls.should_go_on)(
                cls.run_explore,
                cls.inspect_explore,
                if_(cls.should_run_gate)(cls.run_gate, cls.inspect_gate),
                if_(cls.should_buy)(
                    if_(cls.should_select)(cls.run_select, cls.inspect_select),
                    if_(cls.should_label)(cls.run_label, cls.inspect_label, cls.run_train, cls.inspect_train).else_(
                        cls.close_idle_round
                    ),
                ).else_(cls.close_idle_round),
            ),
            cls.choose_result,
            if_(cls.should_run_last_gate)(cls.run_gate, cls.inspect_gate),
            cls.finish,
        )

    def setup(self) -> None:
        """Start without a decision."""
        super().setup()
        self.ctx.decision = None
        self.ctx.gates = {}
        self.ctx.is_probe = False

    def should_go_on(self) -> bool:
        """Whether nothing has ended the loop yet."""
        return self.ctx.decision is None or self.ctx.decision['reason'] is None

    def run_explore(self) -> Any:
        """Submit MD with the newest potential from the roots of the training lineages, and beside it MD for the test set.

        After a round in which nothing was worth a label it is a probe: frames come back whatever their grade.
        """
        self.ctx.is_probe = self.ctx.get('n_selected') == 0
        self.ctx.round += 1
        self.ctx.n_selected = None
        self.ctx.select = None
        settings = orm.Dict(self._probe_settings()) if self.ctx.is_probe else self.ctx.settings['explore']
        is_foreign = settings['explorer'] != self.ctx.config['explore']['explorer']
        child = self.submit(
            ExploreWorkChain,
            code=self.inputs.codes.worker if is_foreign else self.inputs.codes.explore,
            potential=self.ctx.potential,
            starts=pick_starts(self.ctx.train, settings, self._seed(), self.ctx.generated),
            settings=settings,
            seed=self._seed(),
            round=orm.Int(self.ctx.round),
            options=self.ctx.settings['options'],
            metadata={'call_link_label': f'explore_{self.ctx.round:02d}'},
        )
        is_last = len(self._history()) >= self.ctx.config['loop']['max_rounds']
        return ToContext(explore=child, **self.submit_md_test(is_last=is_last))

    def inspect_explore(self) -> ExitCode | None:
        """Take over the candidates, none is a result too, and judge the newest potential."""
        if not self.ctx.explore.is_finished_ok:
            return self._stop(self.exit_codes.ERROR_EXPLORE_FAILED, self.ctx.explore)
        self.ctx.pool = self.ctx.explore.outputs.candidates if 'candidates' in self.ctx.explore.outputs else None
        self.ctx.selected = None
        self.take_md_test()
        self._decide()
        return None

    def should_run_gate(self) -> bool:
        """Whether only the physics gate stands between the newest potential and the end."""
        is_asked = self.ctx.config['properties'] is not None
        self.ctx.judged = self.ctx.potential
        return is_asked and self.ctx.decision['reason'] == StopReason.CONVERGED.value

    def run_gate(self) -> Any:
        """Submit the comparison of the physical properties with those of the labeller."""
        link = f'properties_{self.ctx.round:02d}'
        return ToContext(
            gate=self.submit(PropertiesWorkChain, **gate_inputs(self.ctx.judged, self.inputs), metadata={'call_link_label': link})
        )

    def inspect_gate(self) -> None:
        """Keep whose gate it was; one that could not be run has not passed."""
        gate = self.ctx.gate
        if not gate.is_finished_ok:
            self.report(f'the physical properties could not be judged: {gate.exit_message or gate.process_state}')
        self.ctx.gates[self.ctx.judged.uuid] = gate.uuid
        if self.ctx.judged.uuid == self.ctx.potential.uuid:
            self._decide()

    def should_buy(self) -> bool:
        """Whether the loop goes on, so that more labels are bought."""
        return self.ctx.decision['reason'] is None

    def should_select(self) -> bool:
        """Whether the exploration gave candidates."""
        return self.ctx.pool is not None

    def close_idle_round(self) -> None:
        """Note a round without a new fit; one in which nothing was found worth a label is the last."""
        self.close_round(trained=False)
        if self.ctx.decision['reason'] is None:
            self.ctx.n_selected = 0
            self._decide()
        if self.ctx.decision['reason'] is None:
            self.report(
                'nothing is new to the potential, but an error is above its target: next, known frames of MD are labelled'
            )

    def choose_result(self) -> None:
        """Take the best potential that passed its checks: the newest one of a run that converged."""
        history = self._history()
        has_converged = self.ctx.decision['reason'] == StopReason.CONVERGED.value
        place = len(history) - 1 if has_converged else best_round(history)
        trained = [entry for entry in self.ctx.entries if entry['test_errors']]
        self.ctx.best = trained[place]
        self.ctx.judged = self.ctx.result = orm.load_node(self.ctx.best['potential'])

    def should_run_last_gate(self) -> bool:
        """Whether the physical properties of the result are asked for and not known yet."""
        return self.ctx.config['properties'] is not None and self.ctx.result.uuid not in self.ctx.gates

    def finish(self) -> ExitCode | None:
        """Say why the loop ended, and attach the results."""
        self.ctx.stop_reason = self.ctx.decision['reason']
        gate = self._gate_of(self.ctx.result)
        properties = {'properties': gate.outputs.report.get_dict()} if gate is not None and 'report' in gate.outputs else {}
        self.ctx.verdict = {'verdict': {**self.ctx.decision, 'round': self.ctx.best['round'], **properties}}
        self.report(f'{self.ctx.stop_reason}: {self.ctx.decision["sentence"]}')
        self.results()
        return self.judge()

    def _probe_settings(self) -> dict[str, Any]:
        """Return settings with which each trajectory gives its share of the labels of a round."""
        explore = Explorer.of(self.ctx.config['explore'])
        n_trajectories = explore.starts * len(explore.temperatures) * len(explore.pressures or [None]) * explore.seeds
        samples = math.ceil(self.ctx.config['loop']['labels_per_round'] / n_trajectories)
        return sampling(explore, samples, max_candidates=max(samples, explore.max_candidates))

    def _select_settings(self) -> dict[str, Any]:
        """Return the settings of the selection; a probe is not steered by what the potential takes for known."""
        settings = super()._select_settings()
        return {**settings, 'selector': RANDOM} if self.ctx.is_probe else settings

    def _decide(self) -> None:
        explore = self.ctx.explore.outputs.report.get_dict()
        reached = [rung['reached'] for rung in explore['ladder']]
        top = max(explore['temperatures'], default=0.0)
        exam = Exam(
            n_starts=len(reached),
            n_at_top=reached.count(top),
            top=top,
            n_candidates=explore['n_candidates'],
            share_above_select=explore['share_above_select'],
            gate=_judgement(self._gate_of(self.ctx.potential)),
            waits_for_test=self.ctx.for_test is not None,
            untested=tuple(map(float, self.ctx.md_shares)),
            is_probe=self.ctx.is_probe,
        )
        limits = _limits(ActiveLearningConfig.model_validate(self.ctx.config['loop']))
        self.ctx.decision = _told(decide(self._history(), exam, limits, n_selected=self.ctx.n_selected))

    def _gate_of(self, potential: PotentialData) -> orm.WorkChainNode | None:
        uuid = self.ctx.gates.get(potential.uuid)
        return None if uuid is None else orm.load_node(uuid)

    def _history(self) -> list[RoundSummary]:
        return [_summary(entry.get_dict()) for entry in self.ctx.entries if entry['test_errors']]


def _limits(loop: ActiveLearningConfig) -> StopLimits:
    return StopLimits(
        max_rounds=loop.max_rounds,
        max_labels=loop.max_labels,
        patience=loop.patience,
        share_above=loop.max_share_above,
        force=loop.force_rmse_target,
        energy=loop.energy_rmse_target,
        acquisition=loop.acquisition_rmse_target,
    )


def _judgement(gate: orm.WorkChainNode | None) -> Gate | None:
    if gate is None:
        return None
    if not gate.is_finished_ok:
        return Gate.BROKEN
    return Gate.PASSED if gate.outputs.report['passed'] else Gate.FAILED


def _told(decision: Decision) -> dict[str, Any]:
    """Return a decision as plain values."""
    return {
        'reason': decision.reason.value if decision.reason else None,
        'shortfalls': list(decision.shortfalls),
        'sentence': decision.sentence,
        'targets': vars(decision.targets),
    }


def _summary(entry: dict[str, Any]) -> RoundSummary:
    """Return what the entry of a round says of its potential; without an interval an error is its own upper end."""
    test, train = entry['test_errors'], entry['train_errors'] or {}
    return RoundSummary(
        round=entry['round'],
        labels_total=entry['labels_total'],
        n_test=entry['n_test'],
        test_force=test['force_rmse'],
        test_force_high=(test.get('force_interval') or [test['force_rmse']])[-1],
        test_energy=test['energy_rmse'],
        test_energy_high=(test.get('energy_interval') or [test['energy_rmse']])[-1],
        train_force=train.get('force_rmse', 0.0),
        train_energy=train.get('energy_rmse', 0.0),
        label_force=test.get('label_force', 0.0),
        label_energy=test.get('label_energy', 0.0),
        acquisition_force=(entry['acquisition'] or {}).get('force_rmse'),
        passed_checks=not entry.get('failed_checks'),
    )
