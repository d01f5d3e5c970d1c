"""`TrainWorkChain`: a fitted potential that passed its checks, with its errors on the training and the frozen test set."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain

from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options
from aiida_mlip_autopipe.calculations.train_functions import summarize_training
from aiida_mlip_autopipe.config.train import TrainingConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.checks import add_options_port, find_process, settings_validator


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return a sentence when frames are not labelled or were labelled at different levels of theory."""
    parts = {name: inputs[name] for name in ('train_frames', 'test_frames', 'references') if name in inputs}
    for name, node in parts.items():
        n_frames, n_labelled = (node.base.attributes.get(key) for key in ('n_frames', 'n_labelled'))
        if n_labelled != n_frames:
            return f'{name}: {n_frames - n_labelled} of {n_frames} frames are not labelled'
    found = {name: node.base.attributes.get('fingerprints') for name, node in parts.items()}
    if len({text for texts in found.values() for text in texts}) > 1:
        return f'labels of different levels of theory are never mixed in one fit; fingerprints found: {found}'
    unknown = set(inputs['train_frames'].base.attributes.get('elements')) - set(inputs['elements'].get_list())
    if unknown:
        return f'train_frames holds {sorted(unknown)}, which elements {inputs["elements"].get_list()} does not list'
    return None


class TrainWorkChain(WorkChain):
    """Runs the trainer of an entry point, evaluates what it made with LAMMPS, and checks the result."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`, or of the trainer of the settings.')
        spec.input('evaluate_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`, which evaluates the potential.')
        spec.input('train_frames', valid_type=FramesData, help='Labelled training frames (eV, eV/Å, eV/Å³).')
        spec.input('test_frames', valid_type=FramesData, help='Labelled frames of the frozen test set (eV, eV/Å, eV/Å³).')
        spec.input('references', valid_type=FramesData, help='Isolated atoms, one for each element, labelled in eV.')
        spec.input('elements', valid_type=orm.List, help='Chemical symbols, in the order of the atom types of the potential.')
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=settings_validator(TrainingConfig),
            help='Training settings, as `TrainingConfig`: cutoff in Å, weights per eV, eV/Å and eV/Å³.',
        )
        add_options_port(spec)
        spec.inputs.validator = validate_inputs
        spec.output('potential', valid_type=PotentialData, required=False, help='The potential, also where a check failed.')
        spec.output('report', valid_type=orm.Dict, required=False, help='Errors (eV/atom, eV/Å, eV/Å³), grades and checks.')
        spec.output('train_predictions', valid_type=orm.ArrayData, required=False, help='Predictions on the training frames.')
        spec.output('test_predictions', valid_type=orm.ArrayData, required=False, help='Predictions on the frozen test set.')
        spec.outline(cls.run_fit, cls.inspect_fit, cls.run_evaluate, cls.inspect_evaluate)
        spec.exit_code(410, 'ERROR_FIT_FAILED', message='The trainer failed: {cause}')
        spec.exit_code(420, 'ERROR_EVALUATION_FAILED', message='The potential could not be evaluated: {cause}')
        spec.exit_code(510, 'ERROR_CHECKS_FAILED', message='The potential did not pass its checks: {reasons}')

    def run_fit(self) -> Any:
        """Submit the trainer."""
        trainer = find_process(TrainingConfig.model_validate(self.inputs.settings.get_dict()).trainer, 'train.trainer')
        return ToContext(
            fit=self.submit(
                trainer,
                code=self.inputs.code,
                frames=self.inputs.train_frames,
                references=self.inputs.references,
                elements=self.inputs.elements,
                settings=self.inputs.settings,
                seed=self.inputs.seed,
                metadata={'options': job_options(self.inputs.options.get_dict())},
            )
        )

    def inspect_fit(self) -> ExitCode | None:
        """Take over the potential, also of a fit that failed after writing one."""
        if 'potential' in self.ctx.fit.outputs:
            self.out('potential', self.ctx.fit.outputs.potential)
        if not self.ctx.fit.is_finished_ok:
            return self.exit_codes.ERROR_FIT_FAILED.format(cause=self.ctx.fit.exit_message or self.ctx.fit.process_state)
        return None

    def run_evaluate(self) -> Any:
        """Let LAMMPS evaluate the potential on the training and the test frames."""
        common = {
            'code': self.inputs.evaluate_code,
            'potential': self.ctx.fit.outputs.potential,
            'metadata': {'options': job_options(self.inputs.options.get_dict())},
        }
        return ToContext(
            train=self.submit(EvaluateCalculation, frames=self.inputs.train_frames, **common),
            test=self.submit(EvaluateCalculation, frames=self.inputs.test_frames, **common),
        )

    def inspect_evaluate(self) -> ExitCode | None:
        """Attach predictions and errors, then judge the checks."""
        for name in ('train', 'test'):
            child = self.ctx[name]
            if not child.is_finished_ok:
                return self.exit_codes.ERROR_EVALUATION_FAILED.format(cause=child.exit_message or child.process_state)
            self.out(f'{name}_predictions', child.outputs.predictions)
        report = summarize_training(self.ctx.fit.outputs.report, self.ctx.train.outputs.report, self.ctx.test.outputs.report)
        self.out('report', report)
        if report['failed_checks']:
            return self.exit_codes.ERROR_CHECKS_FAILED.format(reasons='; '.join(report['failed_checks']))
        return None
