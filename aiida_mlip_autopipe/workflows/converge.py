"""`ConvergeWorkChain`: the same few structures at series of cutoffs and k-point distances, before labels are bought."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, while_

from aiida_mlip_autopipe.calculations.converge_functions import plan_study, summarize_study
from aiida_mlip_autopipe.calculations.label_functions import complete_settings
from aiida_mlip_autopipe.calculations.label_pw import PwBatchCalculation, missing_pseudos
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options, settings_validator
from aiida_mlip_autopipe.common.reasons import FrameFailure, counted
from aiida_mlip_autopipe.config.converge import ConvergeConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.science.convergence import FEWEST
from aiida_mlip_autopipe.workflows.batch_jobs import MAX_STARTS, outcome_of
from aiida_mlip_autopipe.workflows.pseudos import add_theory_ports


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return why no study can be made of the inputs, or None."""
    if 'frames' in inputs and len(inputs['frames']) < FEWEST:
        return f'frames: got {len(inputs["frames"])}; a convergence study compares at least {FEWEST} structures'
    return missing_pseudos(inputs, None)


class ConvergeWorkChain(WorkChain):
    """One batch job for each setting, all structures in it; a structure that fails somewhere is left out and named."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.InstalledCode, help='Code of `pw.x`.')
        spec.input('worker_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker` on the same computer.')
        spec.input('frames', valid_type=FramesData, help='Structures of the study; positions and cells in Å.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(DFTConfig),
            help='Labeller settings, as `DFTConfig`: cutoffs in Ry, k-point distance in 1/Å.',
        )
        add_theory_ports(spec)
        spec.input(
            'converge',
            valid_type=orm.Dict,
            validator=settings_validator(ConvergeConfig),
            default=lambda: orm.Dict(ConvergeConfig().model_dump()),
            help='Series and targets, as `ConvergeConfig`: Ry, 1/Å, meV/atom, meV/Å, GPa.',
        )
        spec.inputs.validator = validate_inputs
        spec.output(
            'report',
            valid_type=orm.Dict,
            required=False,
            help='Differences from the tightest setting (eV/atom, eV/Å, eV/Å³), proposals (Ry, 1/Å), cost of each setting (s).',
        )
        spec.outline(
            cls.setup,
            cls.plan,
            while_(cls.should_run_settings)(cls.run_settings, cls.inspect_settings),
            cls.results,
        )
        spec.exit_code(420, 'ERROR_NOTHING_TO_COMPARE', message='Too few structures were labelled: {reasons}')
        spec.exit_code(510, 'ERROR_NOT_CONVERGED', message='The report is complete, but there is no proposal: {verdicts}')
        spec.exit_code(
            520, 'ERROR_PARTLY_COMPARED', message='{n_left_out} labels are missing and were left out of the comparison: {reasons}'
        )

    def setup(self) -> None:
        """Complete the settings and start with nothing done."""
        self.ctx.settings = complete_settings(self.inputs.settings, self.inputs.facts)
        self.ctx.config = self.ctx.settings.get_dict()
        self.ctx.jobs = {}
        self.ctx.pks = {}
        self.ctx.failures = {}

    def plan(self) -> None:
        """List the settings, and put all structures in line at each of them."""
        self.ctx.planned = plan_study(self.inputs.frames, self.ctx.settings, self.inputs.converge, self.inputs.facts)
        indices = list(range(len(self.inputs.frames)))
        names = sorted(self.ctx.planned['plan']['facts'])
        self.ctx.waiting = [{'setting': name, 'indices': indices, 'start': 1} for name in names]
        for skipped in self.ctx.planned['plan']['skipped']:
            self.report('kpoints_distance {value:g} gives the same meshes as {same_as:g}: calculated once'.format(**skipped))

    def should_run_settings(self) -> bool:
        """Whether structures wait for a job."""
        return bool(self.ctx.waiting)

    def run_settings(self) -> Any:
        """Submit the next jobs, as many as may run at the same time."""
        limit = self.ctx.config['max_concurrent']
        batch, self.ctx.waiting = self.ctx.waiting[:limit], self.ctx.waiting[limit:]
        self.ctx.running = {f'job_{len(self.ctx.jobs) + number:03d}': entry for number, entry in enumerate(batch)}
        return ToContext(**{name: self._submit(name, entry) for name, entry in self.ctx.running.items()})

    def _submit(self, name: str, entry: dict[str, Any]) -> Any:
        return self.submit(
            PwBatchCalculation,
            code=self.inputs.worker_code,
            pw_code=self.inputs.code,
            frames=self.inputs.frames,
            indices=orm.List(entry['indices']),
            pseudos=dict(self.inputs.pseudos),
            settings=self.ctx.planned[entry['setting']],
            metadata={'call_link_label': name, 'options': job_options(self.ctx.config['options'])},
        )

    def inspect_settings(self) -> None:
        """Note what failed; what was not started, or lost with its job, waits for another one."""
        for name, entry in self.ctx.running.items():
            child = self.ctx[name]
            self.ctx.jobs[name], self.ctx.pks[name] = entry['setting'], child.pk
            outcome = outcome_of(child, entry['indices'])
            self._wait_again(entry, outcome.again, outcome.cause)
            self._fail(entry['setting'], outcome.failed)

    def _wait_again(self, entry: dict[str, Any], indices: list[int], cause: FrameFailure) -> None:
        if not indices:
            return
        if entry['start'] == MAX_STARTS:
            self._fail(entry['setting'], dict.fromkeys(indices, cause))
            return
        self.report(f'{len(indices)} structures of {entry["setting"]} go into another job: {cause}')
        self.ctx.waiting.append({**entry, 'indices': sorted(indices), 'start': entry['start'] + 1})

    def _fail(self, setting: str, failures: dict[int, FrameFailure]) -> None:
        for index, failure in failures.items():
            self.report(f'structure {index} has no label at {setting}: {failure}')
            self.ctx.failures.setdefault(setting, {})[str(index)] = failure.to_mapping()

    def results(self) -> ExitCode | None:
        """Attach the report, then say what is missing or not converged."""
        results: dict[str, orm.Data] = {}
        for name, pk in self.ctx.pks.items():
            outputs = orm.load_node(pk).outputs
            results.update({f'{port}_{name}': outputs[port] for port in ('labelled', 'report', 'retrieved') if port in outputs})
        outcome = orm.Dict({'jobs': self.ctx.jobs, 'failures': self.ctx.failures})
        report = summarize_study(self.inputs.frames, self.ctx.planned['plan'], self.inputs.converge, outcome, **results)
        self.out('report', report)
        reasons = counted(FrameFailure.from_mapping(entry) for entry in report['left_out'])
        if not any(series['rows'] for series in report['series'].values()):
            return self.exit_codes.ERROR_NOTHING_TO_COMPARE.format(reasons=reasons)
        verdicts = [f'{name}: {s["verdict"]}' for name, s in report['series'].items() if s['proposal'] is None]
        if verdicts:
            return self.exit_codes.ERROR_NOT_CONVERGED.format(verdicts='; '.join(verdicts))
        if report['left_out']:
            return self.exit_codes.ERROR_PARTLY_COMPARED.format(n_left_out=len(report['left_out']), reasons=reasons)
        return None
