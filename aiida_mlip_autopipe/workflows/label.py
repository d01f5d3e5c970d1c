"""`LabelWorkChain`: Quantum ESPRESSO labels in batches; what fails goes frame by frame through the remedies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, while_

from aiida_mlip_autopipe.calculations.label_functions import (
    collect_labels,
    complete_settings,
    plan_batches,
    port_of,
    prepare_label,
)
from aiida_mlip_autopipe.calculations.label_pw import PwBatchCalculation, missing_pseudos
from aiida_mlip_autopipe.calculations.reuse import find_labels, reuse_labels
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options, settings_validator
from aiida_mlip_autopipe.common.fingerprint import difference, recipe_of
from aiida_mlip_autopipe.common.reasons import FrameFailure, counted
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.remedies import FINAL
from aiida_mlip_autopipe.workflows.batch_jobs import MAX_STARTS, outcome_of
from aiida_mlip_autopipe.workflows.pseudos import (
    add_theory_ports,
    cutoff_warnings,
    theory_inputs,
)
from aiida_mlip_autopipe.workflows.recover import OUTPUTS, RecoverWorkChain, failure_of_chain, remedy_of


def validate_frames(node: FramesData | None, _: Any) -> str | None:
    """Return a sentence when a structure is not periodic, else None."""
    if node is None:
        return None
    frames = node.frames
    open_ones = [index for index, periodic in enumerate(frames.pbc) if not periodic.all()]
    if not open_ones:
        return None
    first = open_ones[0]
    return (
        f'frames: {len(open_ones)} of {len(frames)} are not periodic in three directions, the first is frame {first} '
        f'({frames.config_type[first] or "no config_type"}, pbc {frames.pbc[first].tolist()}); pw.x needs a cell'
    )


class LabelWorkChain(WorkChain):
    """Each frame ends as labelled, recovered (by a remedy) or quarantined (with a reason); one failure never stops the others."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.InstalledCode, help='Code of `pw.x`.')
        spec.input('worker_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker` on the same computer.')
        spec.input(
            'frames', valid_type=FramesData, validator=validate_frames, help='Structures to label; positions and cells in Å.'
        )
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(DFTConfig),
            help='Labeller settings, as `DFTConfig`: cutoffs in Ry, k-point distance in 1/Å, force cap in eV/Å.',
        )
        add_theory_ports(spec)
        spec.inputs.validator = missing_pseudos
        spec.output(
            'labelled', valid_type=FramesData, required=False, help='Frames with energy (eV), forces (eV/Å), stress (eV/Å³).'
        )
        spec.output(
            'quarantined',
            valid_type=FramesData,
            required=False,
            help='Frames without a usable label (Å), with their `reason`.',
        )
        spec.output(
            'report',
            valid_type=orm.Dict,
            required=False,
            help='Counts, remedies, reasons of failures, levels of theory, warnings.',
        )
        spec.outline(
            cls.setup,
            cls.reuse,
            cls.plan,
            while_(cls.should_run_batches)(cls.run_batches, cls.inspect_batches),
            while_(cls.should_recover)(cls.run_recoveries, cls.inspect_recoveries),
            cls.collect,
            cls.results,
        )
        spec.exit_code(
            420,
            'ERROR_FAILURE_RATE',
            message='{n_failed} of {n_frames} frames failed, more than the allowed rate of {limit:g}: {reasons}',
        )
        spec.exit_code(
            430,
            'ERROR_MIXED_LEVELS',
            message='The labels are of different levels of theory, which are never mixed: {difference}; '
            'label.reuse: false calculates all of them anew',
        )

    @classmethod
    def named_nodes(cls, config: DFTConfig, elements: Sequence[str]) -> dict[str, Any]:
        """Return what the settings name in this profile, as the inputs `pseudos` and `facts`.

        :raises InputError: see :func:`~aiida_mlip_autopipe.workflows.pseudos.find_family`.
        """
        return theory_inputs(config, elements)

    def setup(self) -> None:
        """Complete the settings and start with nothing done."""
        self.ctx.settings = complete_settings(self.inputs.settings, self.inputs.facts)
        config = DFTConfig.model_validate(self.ctx.settings.get_dict())
        self.ctx.config = config.model_dump()
        known = config.theory({element: pseudo.md5 for element, pseudo in self.inputs.pseudos.items()})
        self.ctx.recipe = recipe_of(known, f'{self.inputs.code.computer.label}:{self.inputs.code.filepath_executable}')
        self.ctx.warnings = cutoff_warnings(config, self.inputs.facts.get_dict())
        for sentence in self.ctx.warnings:
            self.report(f'warning: {sentence}')
        self.ctx.update(starts={}, jobs=[], failures={}, to_recover=[], recovered={}, levels={}, reused={}, done=[])

    def reuse(self) -> None:
        """Take over the labels that this profile already has of the same structures and level of theory."""
        known = find_labels(self.inputs.frames, self.ctx.recipe) if self.ctx.config['reuse'] else None
        if not known or not known.nodes:
            return
        found = reuse_labels(self.inputs.frames, **known.nodes)
        self.ctx.done = found['indices'].get_list()
        if self.ctx.done:
            self.ctx.levels = known.levels
            self.ctx.reused = {'reused': found['labelled'], 'reused_indices': found['indices']}
            self.report(f'{len(self.ctx.done)} labels are already in this profile')

    def plan(self) -> None:
        """Divide the frames into jobs that take about equally long."""
        plan = plan_batches(self.inputs.frames, self.ctx.settings, self.inputs.facts, orm.List(self.ctx.done))
        self.ctx.waiting = plan.get_list()

    def should_run_batches(self) -> bool:
        """Whether frames wait for a job."""
        return bool(self.ctx.waiting)

    def run_batches(self) -> Any:
        """Submit the next jobs, as many as may run at the same time."""
        limit = self.ctx.config['max_concurrent']
        batches, self.ctx.waiting = self.ctx.waiting[:limit], self.ctx.waiting[limit:]
        self.ctx.running = {}
        children: dict[str, Any] = {}
        for batch in batches:
            name = f'batch_{len(self.ctx.jobs) + len(children):03d}'
            self.ctx.running[name] = batch
            children[name] = self.submit(
                PwBatchCalculation,
                code=self.inputs.worker_code,
                pw_code=self.inputs.code,
                frames=self.inputs.frames,
                indices=orm.List(batch),
                pseudos=dict(self.inputs.pseudos),
                settings=self.ctx.settings,
                metadata={'call_link_label': name, 'options': job_options(self.ctx.config['options'])},
            )
        return ToContext(**children)

    def inspect_batches(self) -> None:
        """Note what failed; what was not started, or lost with its job, waits for another one."""
        for name, batch in self.ctx.running.items():
            child = self.ctx[name]
            self.ctx.jobs.append(child.pk)
            outcome = outcome_of(child, batch)
            self._wait_again(outcome.again, outcome.cause)
            for index, failure in outcome.failed.items():
                self._fail(index, failure)

    def _wait_again(self, indices: list[int], cause: FrameFailure) -> None:
        again = []
        for index in indices:
            self.ctx.starts[index] = self.ctx.starts.get(index, 0) + 1
            if self.ctx.starts[index] < MAX_STARTS:
                again.append(index)
            else:
                self._fail(index, cause)
        if again:
            self.report(f'{len(again)} frames go into another job: {cause}')
            self.ctx.waiting.append(again)

    def _fail(self, index: int, failure: FrameFailure) -> None:
        self.ctx.failures[index] = failure
        if failure.reason not in FINAL:
            self.ctx.to_recover.append(index)

    def should_recover(self) -> bool:
        """Whether a failed frame waits for a remedy, and the run can still be saved."""
        lost = len(self.ctx.failures) - len(self.ctx.to_recover)
        return bool(self.ctx.to_recover) and lost <= self.ctx.config['max_failure_rate'] * len(self.inputs.frames)

    def run_recoveries(self) -> Any:
        """Take the next failed frames through the remedies, as many as may run at the same time."""
        limit = self.ctx.config['max_concurrent']
        self.ctx.recovering, self.ctx.to_recover = self.ctx.to_recover[:limit], self.ctx.to_recover[limit:]
        return ToContext(**{port_of('frame', index): self._recovery(index) for index in self.ctx.recovering})

    def _recovery(self, index: int) -> orm.WorkChainNode:
        prepared = prepare_label(self.inputs.frames, self.ctx.settings, self.inputs.facts, orm.Int(index))
        return self.submit(
            RecoverWorkChain,
            code=self.inputs.code,
            **prepared,
            reason=orm.Str(self.ctx.failures[index].reason.value),
            options=orm.Dict(self.ctx.config['options']),
            pseudos={kind: self.inputs.pseudos[kind] for kind in prepared['structure'].get_kind_names()},
            metadata={'call_link_label': port_of('frame', index)},
        )

    def inspect_recoveries(self) -> None:
        """Note what a remedy mended, and what none could."""
        for index in self.ctx.recovering:
            child = self.ctx[port_of('frame', index)]
            failure = self.ctx.failures[index]
            if child.is_finished_ok:
                del self.ctx.failures[index]
                self.ctx.recovered[index] = (child.pk, remedy_of(child))
                self.report(f'frame {index} recovered by {remedy_of(child)} from {failure}')
                continue
            self.ctx.failures[index] = failure_of_chain(child)
            self.report(f'frame {index} has no label: {self.ctx.failures[index]}')

    def collect(self) -> None:
        """Pack the labels of the jobs, of the remedies and of earlier runs, and attach them."""
        results: dict[str, orm.Data] = dict(self.ctx.reused)
        for number, pk in enumerate(self.ctx.jobs):
            outputs = orm.load_node(pk).outputs
            if 'labelled' in outputs:
                results[port_of('batch', number)] = outputs.labelled
                results[port_of('report', number)] = outputs.report
        for index, (pk, _) in self.ctx.recovered.items():
            outputs = orm.load_node(pk).outputs
            results.update({port_of(name.removeprefix('output_'), index): outputs[name] for name in OUTPUTS})
        outcome = orm.Dict(
            {
                'failures': {str(index): failure.to_mapping() for index, failure in self.ctx.failures.items()},
                'remedies': {str(index): remedy for index, (_, remedy) in self.ctx.recovered.items()},
                **{name: self.ctx[name] for name in ('levels', 'recipe', 'warnings')},
            }
        )
        self.ctx.collected = collect_labels(self.inputs.frames, self.ctx.settings, self.inputs.facts, outcome, **results)
        self.out_many(self.ctx.collected)

    def results(self) -> ExitCode | None:
        """Stop when too many frames failed, with a table of reasons, or when the labels must not be mixed."""
        report, limit = self.ctx.collected['report'], self.ctx.config['max_failure_rate']
        if report['n_failed'] > limit * report['n_frames']:
            return self.exit_codes.ERROR_FAILURE_RATE.format(
                n_failed=report['n_failed'],
                n_frames=report['n_frames'],
                limit=limit,
                reasons=counted(FrameFailure.from_mapping(entry) for entry in report['failures']),
            )
        if len(report['levels_of_theory']) > 1:
            return self.exit_codes.ERROR_MIXED_LEVELS.format(difference=difference(report['levels_of_theory']))
        return None

    def on_terminated(self) -> None:
        """Remove the work folders of the jobs, where the settings want it."""
        super().on_terminated()
        if not self.ctx.get('config', {}).get('clean_workdir', False):
            return
        for node in self.node.called_descendants:
            if isinstance(node, orm.CalcJobNode) and 'remote_folder' in node.outputs:
                self._clean(node.outputs.remote_folder)

    def _clean(self, folder: orm.RemoteData) -> None:
        if folder.is_cleaned:
            return
        try:
            folder._clean()
        except OSError as error:
            self.report(f'work folder {folder.get_remote_path()} was not removed: {error}')
