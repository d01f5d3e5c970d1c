"""`LabelWorkChain`: Quantum ESPRESSO labels in batches; what fails goes one by one through `PwBaseWorkChain` and the remedies."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ProcessState, ToContext, WorkChain, while_
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_mlip_autopipe.calculations.label_functions import collect_labels, plan_batches, port_of, prepare_labels
from aiida_mlip_autopipe.calculations.label_pw import PwBatchCalculation
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options, settings_validator
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.pw_batch import OUT_OF_TIME
from aiida_mlip_autopipe.science.remedies import LADDER
from aiida_mlip_autopipe.workflows.checks import find_pseudos

MAX_STARTS = 3
"""How often a frame is put into a batch before it counts as failed, when jobs end before its turn or in the middle of it."""

FINAL_REASONS = {'force_cap'}
"""Failures that no change of the numerics can mend."""


class LabelWorkChain(WorkChain):
    """Each frame ends as labelled, recovered (by a remedy) or quarantined (with a reason); one failure never stops the others."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.InstalledCode, help='Code of `pw.x`.')
        spec.input('worker_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker` on the same computer.')
        spec.input('frames', valid_type=FramesData, help='Structures to label; positions and cells in Å.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(DFTConfig),
            help='Labeller settings, as `DFTConfig`: cutoffs in Ry, k-point distance in 1/Å, force cap in eV/Å.',
        )
        spec.output(
            'labelled', valid_type=FramesData, required=False, help='Frames with energy (eV), forces (eV/Å), stress (eV/Å³).'
        )
        spec.output('quarantined', valid_type=FramesData, required=False, help='Frames without a usable label (Å).')
        spec.output(
            'report', valid_type=orm.Dict, required=False, help='Counts, remedies, reasons of failures, levels of theory.'
        )
        spec.outline(
            cls.setup,
            cls.plan,
            while_(cls.should_run_batches)(cls.run_batches, cls.inspect_batches),
            while_(cls.should_recover)(cls.run_recoveries, cls.inspect_recoveries),
            cls.collect,
        )
        spec.exit_code(201, 'ERROR_NO_PSEUDOPOTENTIAL', message='{cause}')
        spec.exit_code(
            420,
            'ERROR_FAILURE_RATE',
            message='{n_failed} of {n_frames} frames failed, more than the allowed rate of {limit:g}: {reasons}',
        )

    def setup(self) -> ExitCode | None:
        """Find the pseudopotentials and start with nothing done."""
        self.ctx.config = DFTConfig.model_validate(self.inputs.settings.get_dict()).model_dump()
        self.ctx.starts = {}
        self.ctx.jobs = []
        self.ctx.failures = {}
        self.ctx.rungs = {}
        self.ctx.recovered = {}
        pseudos, problem = find_pseudos(self.ctx.config['pseudo_family'], self.inputs.frames.base.attributes.get('elements'))
        if problem:
            return self.exit_codes.ERROR_NO_PSEUDOPOTENTIAL.format(cause=problem)
        self.ctx.pseudos = pseudos
        self.ctx.pseudo_facts = orm.Dict({e: {'md5': p.md5, 'z_valence': p.z_valence} for e, p in pseudos.items()}).store()
        return None

    def plan(self) -> None:
        """Divide the frames into jobs that take about equally long."""
        plan = plan_batches(self.inputs.frames, self.inputs.settings, self.ctx.pseudo_facts)
        self.ctx.waiting = plan.get_list()

    def should_run_batches(self) -> bool:
        """Whether frames wait for a job."""
        return bool(self.ctx.waiting)

    def run_batches(self) -> Any:
        """Submit the next jobs, as many as may run at the same time."""
        limit = self.ctx.config['max_concurrent']
        batches, self.ctx.waiting = self.ctx.waiting[:limit], self.ctx.waiting[limit:]
        self.ctx.running = {}
        children = {}
        for batch in batches:
            name = f'batch_{len(self.ctx.jobs) + len(children):03d}'
            self.ctx.running[name] = batch
            children[name] = self.submit(
                PwBatchCalculation,
                code=self.inputs.worker_code,
                pw_code=self.inputs.code,
                frames=self.inputs.frames,
                indices=orm.List(batch),
                pseudos=self.ctx.pseudos,
                settings=self.inputs.settings,
                metadata={'call_link_label': name, 'options': job_options(self.ctx.config['options'])},
            )
        return ToContext(**children)

    def inspect_batches(self) -> None:
        """Note what failed; what was not started, or lost with its job, waits for another one."""
        for name, batch in self.ctx.running.items():
            child = self.ctx[name]
            self.ctx.jobs.append(child.pk)
            if 'report' not in child.outputs:
                self._wait_again(batch, f'job_failed: {child.exit_message or child.process_state}')
                continue
            report = child.outputs.report.get_dict()
            out_of_time = [failure['index'] for failure in report['failures'] if failure['reason'] == OUT_OF_TIME]
            self._wait_again(report['not_started'] + out_of_time, OUT_OF_TIME)
            for failure in report['failures']:
                if failure['index'] not in out_of_time:
                    self._fail(failure['index'], failure['reason'])

    def _wait_again(self, indices: list[int], reason: str) -> None:
        again = []
        for index in indices:
            self.ctx.starts[index] = self.ctx.starts.get(index, 0) + 1
            if self.ctx.starts[index] < MAX_STARTS:
                again.append(index)
            else:
                self._fail(index, reason)
        if again:
            self.report(f'{len(again)} frames go into another job: {reason}')
            self.ctx.waiting.append(again)

    def _fail(self, index: int, reason: str) -> None:
        self.ctx.failures[index] = reason
        if reason not in FINAL_REASONS:
            self.ctx.rungs[index] = 0

    def should_recover(self) -> bool:
        """Whether a failed frame has a remedy left."""
        return bool(self.ctx.rungs)

    def run_recoveries(self) -> Any:
        """Submit the next remedy of each failed frame, as many as may run at the same time."""
        self.ctx.recovering = sorted(self.ctx.rungs)[: self.ctx.config['max_concurrent']]
        if 'prepared' not in self.ctx:
            self.ctx.prepared = prepare_labels(self.inputs.frames, self.inputs.settings, self.ctx.pseudo_facts)
        return ToContext(**{port_of('frame', index): self.submit(self._recovery(index)) for index in self.ctx.recovering})

    def inspect_recoveries(self) -> None:
        """Note what a remedy mended; the others climb to the next one."""
        for index in self.ctx.recovering:
            child = self.ctx[port_of('frame', index)]
            remedy = LADDER[self.ctx.rungs[index]].name
            if child.is_finished_ok:
                self.ctx.recovered[index] = (child.pk, remedy)
                self.report(f'frame {index} ({self.ctx.failures.pop(index)}) recovered by {remedy}')
                del self.ctx.rungs[index]
                continue
            self.ctx.failures[index] = _reason_of(child)
            self.ctx.rungs[index] += 1
            if self.ctx.rungs[index] == len(LADDER):
                self.report(f'frame {index} has no label: {self.ctx.failures[index]}')
                del self.ctx.rungs[index]

    def _recovery(self, index: int) -> Any:
        builder = PwBaseWorkChain.get_builder()
        structure = self.ctx.prepared[port_of('structure', index)]
        remedy = LADDER[self.ctx.rungs[index]]
        builder.pw.code = self.inputs.code
        builder.pw.structure = structure
        builder.pw.parameters = orm.Dict(remedy.applied_to(self.ctx.prepared[port_of('parameters', index)].get_dict()))
        builder.pw.pseudos = {kind: self.ctx.pseudos[kind] for kind in structure.get_kind_names()}
        builder.pw.metadata.options = job_options(self.ctx.config['options'])
        builder.kpoints = self.ctx.prepared[port_of('kpoints', index)]
        builder.max_iterations = orm.Int(1)
        builder.clean_workdir = orm.Bool(True)
        builder.metadata.call_link_label = f'{port_of("frame", index)}_{remedy.name.replace(".", "_")}'
        return builder

    def collect(self) -> ExitCode | None:
        """Pack the labels, and stop with a table of reasons when too many frames failed."""
        results: dict[str, orm.Data] = {}
        for number, pk in enumerate(self.ctx.jobs):
            outputs = orm.load_node(pk).outputs
            if 'labelled' in outputs:
                results[port_of('batch', number)] = outputs.labelled
                results[port_of('report', number)] = outputs.report
        for index, (pk, _) in self.ctx.recovered.items():
            outputs = orm.load_node(pk).outputs
            results[port_of('parameters', index)] = outputs.output_parameters
            results[port_of('trajectory', index)] = outputs.output_trajectory
        outcome = orm.Dict(
            {
                'failures': {str(index): reason for index, reason in self.ctx.failures.items()},
                'remedies': {str(index): remedy for index, (_, remedy) in self.ctx.recovered.items()},
            }
        )
        nodes = collect_labels(self.inputs.frames, self.inputs.settings, self.ctx.pseudo_facts, outcome, **results)
        self.out_many(nodes)
        report, limit = nodes['report'], self.ctx.config['max_failure_rate']
        if report['n_failed'] > limit * report['n_frames']:
            return self.exit_codes.ERROR_FAILURE_RATE.format(
                n_failed=report['n_failed'], n_frames=report['n_frames'], limit=limit, reasons=report['by_reason']
            )
        return None


def _reason_of(child: orm.WorkChainNode) -> str:
    if child.process_state is not ProcessState.FINISHED:
        return str(child.process_state.value)
    codes = PwBaseWorkChain.spec().exit_codes
    label = next((name for name, code in codes.items() if code.status == child.exit_status), str(child.exit_status))
    return label.removeprefix('ERROR_').removeprefix('WARNING_').lower()
