"""`ExploreWorkChain`: MD up a ladder of temperatures, as far as the potential knows its way."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, while_

from aiida_mlip_autopipe.calculations.explore_functions import summarize_exploration
from aiida_mlip_autopipe.calculations.frames_functions import merge_frames
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options
from aiida_mlip_autopipe.config.explore import InferenceConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.checks import add_options_port, find_process, settings_validator


class ExploreWorkChain(WorkChain):
    """One job for each temperature; the next one runs only when every trajectory finished at the one before."""

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
        spec.output('candidates', valid_type=FramesData, required=False, help='Frames above `gamma_select` (Å).')
        spec.output('report', valid_type=orm.Dict, required=False, help='One entry for each trajectory, and the highest grade.')
        spec.outline(cls.setup, while_(cls.should_climb)(cls.run_rung, cls.inspect_rung), cls.results)
        spec.exit_code(410, 'ERROR_MD_FAILED', message='MD at {temperature:g} K failed: {cause}')

    def setup(self) -> None:
        """Start at the lowest temperature."""
        self.ctx.config = InferenceConfig.model_validate(self.inputs.settings.get_dict()).model_dump(mode='json')
        self.ctx.rungs = []
        self.ctx.is_stopped = False

    def should_climb(self) -> bool:
        """Whether there is a higher temperature, and nothing was stopped at the one before."""
        return not self.ctx.is_stopped and len(self.ctx.rungs) < len(self.ctx.config['temperatures'])

    def run_rung(self) -> Any:
        """Submit the trajectories of the next temperature."""
        explorer = find_process(self.ctx.config['explorer'], 'explore.explorer')
        child = self.submit(
            explorer,
            code=self.inputs.code,
            potential=self.inputs.potential,
            starts=self.inputs.starts,
            temperature=orm.Float(self._temperature),
            settings=self.inputs.settings,
            seed=orm.Int(self.inputs.seed.value + len(self.ctx.rungs)),
            round=self.inputs.round,
            metadata={'options': job_options(self.inputs.options.get_dict())},
        )
        return ToContext(rung=child)

    def inspect_rung(self) -> ExitCode | None:
        """Keep what the temperature gave, and stop climbing where a trajectory was stopped."""
        child = self.ctx.rung
        if not child.is_finished_ok:
            cause = child.exit_message or child.process_state
            temperature = self._temperature
            self.results()
            return self.exit_codes.ERROR_MD_FAILED.format(temperature=temperature, cause=cause)
        self.ctx.rungs.append(child.pk)
        self.ctx.is_stopped = any(run['reason'] != 'finished' for run in child.outputs.report['trajectories'])
        return None

    def results(self) -> None:
        """Merge candidates and reports of all temperatures."""
        children = {f'rung_{index:02d}': orm.load_node(pk) for index, pk in enumerate(self.ctx.rungs)}
        if not children:
            return
        self.out('report', summarize_exploration(**{name: child.outputs.report for name, child in children.items()}))
        parts = {name: child.outputs.candidates for name, child in children.items() if 'candidates' in child.outputs}
        if parts:
            self.out('candidates', merge_frames(**parts))

    @property
    def _temperature(self) -> float:
        return float(self.ctx.config['temperatures'][len(self.ctx.rungs)])
