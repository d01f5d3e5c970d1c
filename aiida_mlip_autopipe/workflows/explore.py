"""`ExploreWorkChain`: MD from every start at every temperature of a ladder; what the potential does not know comes back."""

from __future__ import annotations

import itertools
from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain

from aiida_mlip_autopipe.calculations.explore_functions import GRADES, summarize_exploration, unique_candidates
from aiida_mlip_autopipe.calculations.frames_functions import merge_frames
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, add_options_port, job_options, plugin_validator
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.workflows.processes import find_process


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return why the explorer of the settings cannot run the potential, or None."""
    if not {'potential', 'settings'} <= set(inputs):
        return None
    try:
        name = Explorer.of(inputs['settings'].get_dict()).name
        port = find_process(name, 'explore.explorer').spec().inputs['potential']
    except InputError as error:
        return str(error)
    problem = port.validate(inputs['potential'])
    return None if problem is None else f'explore.explorer: {name} cannot run this potential: {problem.message}'


class ExploreWorkChain(WorkChain):
    """One job with all starts for each temperature, pressure and seed, side by side."""

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
            validator=plugin_validator(Explorer),
            help='Exploration settings, as `Explorer`: temperatures in K, timestep in fs, pressure in GPa.',
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
        spec.outline(cls.setup, cls.run_ladder, cls.inspect_ladder)
        spec.exit_code(410, 'ERROR_MD_FAILED', message='MD at {temperature:g} K failed: {cause}')

    def setup(self) -> None:
        """Read the settings."""
        config = Explorer.of(self.inputs.settings.get_dict())
        for warning in config.warnings:
            self.report(f'warning: {warning}')
        self.ctx.config = config.model_dump(mode='json')

    def run_ladder(self) -> Any:
        """Submit one job for each temperature, pressure and seed, all with all starts."""
        config = self.ctx.config
        explorer = find_process(config['explorer'], 'explore.explorer')
        conditions = itertools.product(config['temperatures'], config['pressures'] or [None], range(config['seeds']))
        children: dict[str, Any] = {}
        self.ctx.temperatures = {}
        for index, (temperature, pressure, _) in enumerate(conditions):
            name = f'job_{index:03d}'
            children[name] = self.submit(explorer, **self._inputs(index, temperature, pressure))
            self.ctx.temperatures[name] = temperature
        return ToContext(**children)

    def inspect_ladder(self) -> ExitCode | None:
        """Attach what the jobs gave, also where one of them failed."""
        self.results()
        for name, temperature in self.ctx.temperatures.items():
            child = self.ctx[name]
            if not child.is_finished_ok:
                cause = child.exit_message or child.process_state
                return self.exit_codes.ERROR_MD_FAILED.format(temperature=temperature, cause=cause)
        return None

    def results(self) -> None:
        """Merge candidates and reports of all jobs."""
        everything = {name: self.ctx[name] for name in self.ctx.temperatures}
        children = {name: child for name, child in everything.items() if child.is_finished_ok or 'report' in child.outputs}
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

    def _inputs(self, index: int, temperature: float, pressure: float | None) -> dict[str, Any]:
        """Return the inputs of a job.

        :param index: of the job in the whole exploration, which gives it velocities of its own.
        :param temperature: K.
        :param pressure: GPa, or None for the one in the settings.
        """
        inputs = {name: self.inputs[name] for name in ('code', 'potential', 'starts', 'settings', 'round')}
        if pressure is not None:
            inputs['pressure'] = orm.Float(pressure)
        return {
            **inputs,
            'temperature': orm.Float(temperature),
            'seed': orm.Int(self.inputs.seed.value + index),
            'metadata': {'options': job_options(self.inputs.options.get_dict())},
        }
