"""`ExploreWorkChain`: MD up a ladder of temperatures, as far as the potential knows its way."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, while_

from aiida_mlip_autopipe.calculations.explore_functions import GRADES, summarize_exploration, unique_candidates
from aiida_mlip_autopipe.calculations.frames_functions import merge_frames
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options, settings_validator
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.explore import InferenceConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.checks import add_options_port, find_process


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return why the explorer of the settings cannot run the potential, or None."""
    if not {'potential', 'settings'} <= set(inputs):
        return None
    name = InferenceConfig.model_validate(inputs['settings'].get_dict()).explorer
    try:
        port = find_process(name, 'explore.explorer').spec().inputs['potential']
    except InputError as error:
        return str(error)
    problem = port.validate(inputs['potential'])
    return None if problem is None else f'explore.explorer: {name} cannot run this potential: {problem.message}'


class ExploreWorkChain(WorkChain):
    """One job for each temperature, pressure and seed; the next temperature only when all finished at the one before.

    An explorer is a process with the inputs `code`, `potential`, `starts`, `temperature` (K), `settings`, `seed`, `round` and,
    where the settings have `pressures`, `pressure` (GPa); it gives `report` and, where it has any, `candidates`,
    `candidate_grades` and `uncut`.
    """

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`, or of the explorer of the settings.')
        spec.input('potential', valid_type=PotentialData, help='Potential with an active set.')
        spec.input('starts', valid_type=FramesData, help='Start structures (Å), one trajectory each.')
        spec.input('seed', valid_type=orm.Int, help='Seed of the velocities, dimensionless.')
        spec.input('round', valid_type=orm.Int, help='Round of the loop that the candidates belong to, dimensionless.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(InferenceConfig),
            help='Exploration settings, as `InferenceConfig`: temperatures in K, timestep in fs, pressure in GPa.',
        )
        add_options_port(spec)
        spec.inputs.validator = validate_inputs
        spec.output('candidates', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å), each once.')
        spec.output(
            'candidate_grades',
            valid_type=orm.ArrayData,
            required=False,
            help='`gamma`: extrapolation grade of each atom of the candidates, in their order.',
        )
        spec.output(
            'uncut', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å) too large and not to be cut.'
        )
        spec.output('report', valid_type=orm.Dict, required=False, help='One entry for each trajectory, and the totals.')
        spec.outline(cls.setup, while_(cls.should_climb)(cls.run_rung, cls.inspect_rung), cls.results)
        spec.exit_code(410, 'ERROR_MD_FAILED', message='MD at {temperature:g} K failed: {cause}')

    def setup(self) -> None:
        """Start at the lowest temperature."""
        config = InferenceConfig.model_validate(self.inputs.settings.get_dict())
        for warning in config.warnings:
            self.report(f'warning: {warning}')
        self.ctx.config = config.model_dump(mode='json')
        self.ctx.rung = 0
        self.ctx.jobs = []
        self.ctx.is_stopped = False

    def should_climb(self) -> bool:
        """Whether there is a higher temperature, and nothing was stopped at the one before."""
        return not self.ctx.is_stopped and self.ctx.rung < len(self.ctx.config['temperatures'])

    def run_rung(self) -> Any:
        """Submit the jobs of the next temperature: one for each pressure and seed, with all starts."""
        explorer = find_process(self.ctx.config['explorer'], 'explore.explorer')
        names: dict[str, Any] = {}
        for pressure in self.ctx.config['pressures'] or [None]:
            for _ in range(self.ctx.config['seeds']):
                index = len(self.ctx.jobs) + len(names)
                names[f'job_{index:03d}'] = self.submit(explorer, **self._inputs(index, pressure))
        self.ctx.names = list(names)
        return ToContext(**names)

    def inspect_rung(self) -> ExitCode | None:
        """Keep what the temperature gave, and stop climbing where a trajectory was stopped."""
        temperature = self._temperature
        children = {name: self.ctx[name] for name in self.ctx.names}
        failed = [child for child in children.values() if not child.is_finished_ok]
        self.ctx.jobs.extend(child.pk for child in children.values() if child.is_finished_ok or 'report' in child.outputs)
        if failed:
            self.results()
            cause = failed[0].exit_message or failed[0].process_state
            return self.exit_codes.ERROR_MD_FAILED.format(temperature=temperature, cause=cause)
        runs = [run for child in children.values() for run in child.outputs.report['trajectories']]
        self.ctx.is_stopped = any(run['reason'] != 'finished' for run in runs)
        self.ctx.rung += 1
        return None

    def results(self) -> None:
        """Merge candidates and reports of all jobs."""
        children = {f'job_{index:03d}': orm.load_node(pk) for index, pk in enumerate(self.ctx.jobs)}
        if not children:
            return
        reports: dict[str, orm.Data] = {name: child.outputs.report for name, child in children.items()}
        parts = {name: child.outputs.candidates for name, child in children.items() if 'candidates' in child.outputs}
        for name in list(parts):
            if 'candidate_grades' in children[name].outputs:
                parts[f'{GRADES}{name}'] = children[name].outputs.candidate_grades
        if parts:
            unique = unique_candidates(**parts)
            reports['candidates'] = unique['candidates']
            self.out_many(unique)
        uncut = {name: child.outputs.uncut for name, child in children.items() if 'uncut' in child.outputs}
        if uncut:
            self.out('uncut', merge_frames(**uncut))
        self.out('report', summarize_exploration(**reports))

    def _inputs(self, index: int, pressure: float | None) -> dict[str, Any]:
        """Return the inputs of a job.

        :param index: of the job in the whole exploration, which gives it velocities of its own.
        :param pressure: GPa, or None for the one in the settings.
        """
        inputs = {name: self.inputs[name] for name in ('code', 'potential', 'starts', 'settings', 'round')}
        if pressure is not None:
            inputs['pressure'] = orm.Float(pressure)
        return {
            **inputs,
            'temperature': orm.Float(self._temperature),
            'seed': orm.Int(self.inputs.seed.value + index),
            'metadata': {'options': job_options(self.inputs.options.get_dict())},
        }

    @property
    def _temperature(self) -> float:
        return float(self.ctx.config['temperatures'][self.ctx.rung])
