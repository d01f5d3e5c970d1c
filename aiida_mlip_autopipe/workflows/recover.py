"""`RecoverWorkChain`: one frame whose calculation failed, taken through the remedies by `PwBaseWorkChain`."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ProcessState, ToContext, WorkChain, while_
from aiida_pseudo.data.pseudo.upf import UpfData
from aiida_quantumespresso.calculations.pw import PwCalculation
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options
from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.engines.espresso.failures import failure_of
from aiida_mlip_autopipe.engines.espresso.remedies import is_open, next_remedy

MAX_RESTARTS = 4
"""Runs of one remedy: `PwBaseWorkChain` restarts what ran out of walltime and changes an eigensolver that fails."""

HANDLERS = {'handle_electronic_convergence_not_reached': {'enabled': False}}
"""Of `PwBaseWorkChain`: gentler mixing is a remedy of this chain."""

FIRST_STEP = '_first_step'
OUTPUTS = ('output_parameters', 'output_trajectory')


class RecoverWorkChain(WorkChain):
    """Tries one remedy after the other; the call link of the last child is the name of the one that helped."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.InstalledCode, help='Code of `pw.x`.')
        spec.input('structure', valid_type=orm.StructureData, help='The frame; positions and cell in Å.')
        spec.input('kpoints', valid_type=orm.KpointsData, help='k-point mesh.')
        spec.input('parameters', valid_type=orm.Dict, help='Namelists of the calculation that failed; energies in Ry.')
        spec.input('reason', valid_type=orm.Str, help='Why it failed, a value of `Reason`.')
        spec.input('options', valid_type=orm.Dict, help='Resources of the jobs, as `JobOptions`: walltime in s.')
        spec.input_namespace('pseudos', valid_type=UpfData, dynamic=True, help='Pseudopotential of each element of the frame.')
        for name in OUTPUTS:
            spec.output(name, valid_type=orm.Data, required=False, help='As of `PwCalculation`: eV, eV/Å, GPa.')
        spec.outline(cls.setup, while_(cls.should_try)(cls.run_remedy, cls.inspect_remedy), cls.results)
        spec.exit_code(410, 'ERROR_NOT_RECOVERED', message='{reason}')

    def setup(self) -> None:
        """Start with the failure that brought the frame here."""
        self.ctx.tried = []
        self.ctx.failure = FrameFailure.from_mapping({'reason': self.inputs.reason.value})
        self.ctx.density = None
        self.ctx.found = None
        self.ctx.has_vacuum = is_open(self.inputs.structure.get_ase())

    def should_try(self) -> bool:
        """Whether the frame has no label yet and a remedy is left."""
        if self.ctx.found is not None:
            return False
        if self.ctx.density is None:
            beta = self.inputs.parameters['ELECTRONS']['mixing_beta']
            reason = self.ctx.failure.reason
            self.ctx.remedy = next_remedy(reason, self.ctx.tried, mixing_beta=beta, has_vacuum=self.ctx.has_vacuum)
        return self.ctx.remedy is not None

    def run_remedy(self) -> Any:
        """Submit the next remedy, or its second step from the density of the first."""
        remedy = self.ctx.remedy
        self.ctx.is_first_step = remedy.has_first_step and self.ctx.density is None
        builder = PwBaseWorkChain.get_builder()
        builder.pw.code = self.inputs.code
        builder.pw.structure = self.inputs.structure
        builder.pw.parameters = orm.Dict(
            remedy.applied_to(self.inputs.parameters.get_dict(), is_first_step=self.ctx.is_first_step)
        )
        builder.pw.pseudos = dict(self.inputs.pseudos)
        builder.pw.metadata.options = job_options(self.inputs.options.get_dict())
        if self.ctx.density is not None:
            builder.pw.parent_folder = self.ctx.density
        builder.kpoints = self.inputs.kpoints
        builder.max_iterations = orm.Int(MAX_RESTARTS)
        builder.handler_overrides = orm.Dict(HANDLERS)
        builder.clean_workdir = orm.Bool(not self.ctx.is_first_step)
        name = remedy.name.replace('.', '_') + (FIRST_STEP if self.ctx.is_first_step else '')
        builder.metadata.call_link_label = name
        return ToContext(child=self.submit(builder))

    def inspect_remedy(self) -> None:
        """Keep what helped; after a failure the next remedy comes."""
        child = self.ctx.child
        if child.is_finished_ok and self.ctx.is_first_step:
            self.ctx.density = child.outputs.remote_folder
            return
        self.ctx.density = None
        if child.is_finished_ok:
            self.ctx.found = child
            return
        self.ctx.failure = _failure_of(child)
        self.report(f'{self.ctx.remedy.name} did not help: {self.ctx.failure}')
        self.ctx.tried.append(self.ctx.remedy.name)

    def results(self) -> ExitCode | None:
        """Attach what the calculation gave that succeeded."""
        if self.ctx.found is None:
            return self.exit_codes.ERROR_NOT_RECOVERED.format(reason=self.ctx.failure)
        for name in OUTPUTS:
            self.out(name, self.ctx.found.outputs[name])
        return None


def remedy_of(chain: orm.WorkChainNode) -> str:
    """Return what recovered the frame of a finished chain."""
    return _last_call(chain).link_label


def failure_of_chain(chain: orm.WorkChainNode) -> FrameFailure:
    """Return why the last remedy of a finished chain did not help."""
    last = _last_call(chain)
    if chain.process_state is not ProcessState.FINISHED or last is None:
        return FrameFailure(Reason.JOB_LOST, chain.exit_message or chain.process_state.value)
    return _failure_of(last.node)


def _last_call(chain: orm.WorkChainNode) -> Any:
    """Return the link to what a chain called last, or None where it called nothing."""
    links = chain.base.links.get_outgoing(node_class=orm.WorkChainNode).all()
    return max(links, key=lambda link: link.node.pk, default=None)


def _failure_of(child: orm.WorkChainNode) -> FrameFailure:
    """Return why the last calculation of a `PwBaseWorkChain` failed."""
    if child.process_state is not ProcessState.FINISHED:
        return FrameFailure(Reason.JOB_LOST, child.process_state.value)
    calls = child.base.links.get_outgoing(node_class=orm.CalcJobNode).all_nodes()
    last = max(calls, key=lambda node: node.pk, default=None)
    node, codes = (
        (last, PwCalculation.spec().exit_codes)
        if last is not None and last.exit_status
        else (
            child,
            PwBaseWorkChain.spec().exit_codes,
        )
    )
    label = next((name for name, code in codes.items() if code.status == node.exit_status), str(node.exit_status))
    return failure_of(label)
