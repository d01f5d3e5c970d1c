"""`LabelWorkChain`: Quantum ESPRESSO labels, one `PwBaseWorkChain` for each frame, a few at a time."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ProcessState, ToContext, WorkChain, while_
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_mlip_autopipe.calculations.label_functions import collect_labels, port_of, prepare_labels
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options, settings_validator
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.workflows.checks import find_pseudos


class LabelWorkChain(WorkChain):
    """Each frame ends as labelled or as quarantined with its reason; one failure never stops the others."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='Code of `pw.x`.')
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
        spec.output('report', valid_type=orm.Dict, required=False, help='Counts, reasons of failures and levels of theory.')
        spec.outline(
            cls.setup,
            cls.prepare,
            while_(cls.should_submit)(cls.run_batch, cls.inspect_batch),
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
        self.ctx.next_frame = 0
        self.ctx.n_frames = len(self.inputs.frames)
        self.ctx.failures = {}
        self.ctx.succeeded = {}
        pseudos, problem = find_pseudos(self.ctx.config['pseudo_family'], self.inputs.frames.base.attributes.get('elements'))
        if problem:
            return self.exit_codes.ERROR_NO_PSEUDOPOTENTIAL.format(cause=problem)
        self.ctx.pseudos = pseudos
        self.ctx.pseudo_facts = orm.Dict({e: {'md5': p.md5, 'z_valence': p.z_valence} for e, p in pseudos.items()}).store()
        return None

    def prepare(self) -> None:
        """Turn the frames into the inputs of `pw.x`."""
        self.ctx.prepared = prepare_labels(self.inputs.frames, self.inputs.settings, self.ctx.pseudo_facts)

    def should_submit(self) -> bool:
        """Whether frames are left."""
        return self.ctx.next_frame < self.ctx.n_frames

    def run_batch(self) -> Any:
        """Submit the next frames, as many as may run at the same time."""
        first = self.ctx.next_frame
        self.ctx.batch = list(range(first, min(first + self.ctx.config['max_concurrent'], self.ctx.n_frames)))
        self.ctx.next_frame = first + len(self.ctx.batch)
        return ToContext(**{port_of('frame', index): self.submit(self._builder(index)) for index in self.ctx.batch})

    def inspect_batch(self) -> None:
        """Note which frames of the batch succeeded, and why the others did not."""
        for index in self.ctx.batch:
            child = self.ctx[port_of('frame', index)]
            if child.is_finished_ok:
                self.ctx.succeeded[str(index)] = child.pk
                continue
            reason = _reason_of(child)
            self.ctx.failures[str(index)] = reason
            self.report(f'frame {index} has no label: {reason} ({child.exit_message or child.process_state})')

    def collect(self) -> ExitCode | None:
        """Pack the labels, and stop with a table of reasons when too many frames failed."""
        results = {}
        for index, pk in self.ctx.succeeded.items():
            outputs = orm.load_node(pk).outputs
            results[port_of('parameters', int(index))] = outputs.output_parameters
            results[port_of('trajectory', int(index))] = outputs.output_trajectory
        failures = orm.Dict(self.ctx.failures)
        nodes = collect_labels(self.inputs.frames, self.inputs.settings, self.ctx.pseudo_facts, failures, **results)
        self.out_many(nodes)
        report, limit = nodes['report'], self.ctx.config['max_failure_rate']
        if report['n_failed'] > limit * report['n_frames']:
            return self.exit_codes.ERROR_FAILURE_RATE.format(
                n_failed=report['n_failed'], n_frames=report['n_frames'], limit=limit, reasons=report['by_reason']
            )
        return None

    def _builder(self, index: int) -> Any:
        builder = PwBaseWorkChain.get_builder()
        structure = self.ctx.prepared[port_of('structure', index)]
        builder.pw.code = self.inputs.code
        builder.pw.structure = structure
        builder.pw.parameters = self.ctx.prepared[port_of('parameters', index)]
        builder.pw.pseudos = {kind: self.ctx.pseudos[kind] for kind in structure.get_kind_names()}
        builder.pw.metadata.options = job_options(self.ctx.config['options'])
        builder.kpoints = self.ctx.prepared[port_of('kpoints', index)]
        builder.clean_workdir = orm.Bool(True)
        builder.metadata.call_link_label = port_of('frame', index)
        return builder


def _reason_of(child: orm.WorkChainNode) -> str:
    if child.process_state is not ProcessState.FINISHED:
        return str(child.process_state.value)
    codes = PwBaseWorkChain.spec().exit_codes
    label = next((name for name, code in codes.items() if code.status == child.exit_status), str(child.exit_status))
    return label.removeprefix('ERROR_').removeprefix('WARNING_').lower()
