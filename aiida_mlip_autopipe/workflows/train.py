"""`TrainWorkChain`: a fitted potential that passed its self-checks, with its errors on the training and the test set."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, if_

from aiida_mlip_autopipe.calculations.check import CheckCalculation
from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.linear_fit import AceCalculation
from aiida_mlip_autopipe.calculations.reuse import known_difference
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, add_options_port, job_options, plugin_validator
from aiida_mlip_autopipe.calculations.train_functions import summarize_training
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.science.trainer import Trainer
from aiida_mlip_autopipe.workflows.processes import find_process

OPTIONAL_PORTS = ('initial_potential', 'references', 'test_frames')
"""Inputs that a trainer gets when it has a port of that name."""


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return a sentence when labels, elements or the initial potential do not fit together, else None."""
    parts = {name: inputs[name] for name in ('train_frames', 'test_frames', 'references') if name in inputs}
    for name, node in parts.items():
        n_frames, n_labelled = (node.base.attributes.get(key) for key in ('n_frames', 'n_labelled'))
        if n_labelled != n_frames:
            return f'{name}: {n_frames - n_labelled} of {n_frames} frames are not labelled'
    found = {name: node.base.attributes.get('fingerprints') for name, node in parts.items()}
    if len(fingerprints := {text for texts in found.values() for text in texts}) > 1:
        return (
            f'labels of different levels of theory are never mixed in one fit; fingerprints found: {found}; '
            f'they differ in {known_difference(fingerprints)}'
        )
    return _element_problem(parts, inputs['elements'].get_list()) or _initial_problem(inputs) or _reference_problem(inputs)


def _element_problem(parts: dict[str, FramesData], elements: list[str]) -> str | None:
    """Return a sentence when a part has an element too many, or one that every potential needs is missing."""
    for name, node in parts.items():
        found = set(node.base.attributes.get('elements'))
        if unknown := sorted(found - set(elements)):
            return f'{name} holds {unknown}, which elements {elements} does not list'
        missing = sorted(set(elements) - found)
        if missing and name == 'train_frames':
            return f'train_frames holds no atom of {missing}, nothing about them can be learnt; elements are {elements}'
        if missing and name == 'references':
            return f'references holds no isolated atom of {missing}, the zero of their energy; elements are {elements}'
    return None


def _initial_problem(inputs: Any) -> str | None:
    """Return a sentence when the initial potential cannot be continued."""
    if 'initial_potential' not in inputs:
        return None
    elements, found = inputs['elements'].get_list(), inputs['initial_potential'].elements
    if found != elements:
        return f'initial_potential is of {found}, expected {elements} in this order'
    name = Trainer.of(inputs['settings'].get_dict()).name
    try:
        trainer = find_process(name, 'train.trainer')
    except InputError as error:
        return str(error)
    if 'initial_potential' not in trainer.spec().inputs:
        return f'initial_potential: the trainer {name} fits from scratch and would ignore it; leave it out'
    return None


def _reference_problem(inputs: Any) -> str | None:
    """Return a sentence when there are no isolated atoms for a trainer that needs them."""
    if 'references' in inputs:
        return None
    name = Trainer.of(inputs['settings'].get_dict()).name
    try:
        port = find_process(name, 'train.trainer').spec().inputs.get('references')
    except InputError as error:
        return str(error)
    if port is not None and port.required:
        return (
            f'references: the trainer {name} needs an isolated atom of each element, the zero of its energies; '
            'mlip_autopipe.ace and mlip_autopipe.pod fit an energy of each element without them'
        )
    return None


class TrainWorkChain(WorkChain):
    """Runs the trainer of an entry point, then lets LAMMPS check and evaluate what it made."""

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`, or of the trainer of the settings.')
        spec.input('evaluate_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`, which evaluates the potential.')
        spec.input('train_frames', valid_type=FramesData, help='Labelled training frames (eV, eV/Å, eV/Å³).')
        spec.input('test_frames', valid_type=FramesData, help='Labelled frames of the frozen test set (eV, eV/Å, eV/Å³).')
        spec.input(
            'references',
            valid_type=FramesData,
            required=False,
            help='Isolated atoms, one for each element, labelled in eV; without them a linear trainer fits an energy of each.',
        )
        spec.input('elements', valid_type=orm.List, help='Chemical symbols, in the order of the atom types of the potential.')
        spec.input('seed', valid_type=orm.Int, help='Seed of everything random, dimensionless.')
        spec.input(
            'initial_potential',
            valid_type=PotentialData,
            required=False,
            help='Potential of the same elements from which a trainer that can do so continues; without one a linear ACE fit '
            'comes first where the settings ask for it.',
        )
        spec.input(
            'settings',
            valid_type=orm.Dict,
            validator=plugin_validator(Trainer),
            help='Settings of the trainer that they name: cutoff in Å, weights per eV, eV/Å and eV/Å³.',
        )
        add_options_port(spec)
        spec.inputs.validator = validate_inputs
        spec.output('potential', valid_type=PotentialData, required=False, help='The potential, also where a check failed.')
        spec.output('report', valid_type=orm.Dict, required=False, help='Errors (eV/atom, eV/Å, eV/Å³), grades, and each check.')
        spec.output('check_curves', valid_type=orm.ArrayData, required=False, help='Curves behind the checks: Å, eV, fs.')
        spec.output('train_predictions', valid_type=orm.ArrayData, required=False, help='Predictions on the training frames.')
        spec.output('test_predictions', valid_type=orm.ArrayData, required=False, help='Predictions on the frozen test set.')
        spec.outline(
            if_(cls.should_fit_start)(cls.run_start, cls.inspect_start),
            cls.run_fit,
            cls.inspect_fit,
            cls.run_checks,
            cls.inspect_checks,
        )
        spec.exit_code(405, 'ERROR_START_FAILED', message='The linear fit that the trainer starts from failed: {cause}')
        spec.exit_code(410, 'ERROR_FIT_FAILED', message='The trainer failed: {cause}')
        spec.exit_code(420, 'ERROR_EVALUATION_FAILED', message='The potential could not be evaluated: {cause}')
        spec.exit_code(430, 'ERROR_CHECKS_NOT_MADE', message='The checks of the potential could not be made: {cause}')
        spec.exit_code(510, 'ERROR_CHECKS_FAILED', message='The potential did not pass its checks: {reasons}')

    @property
    def _config(self) -> Trainer:
        return Trainer.of(self.inputs.settings.get_dict())

    def should_fit_start(self) -> bool:
        """Whether the trainer starts from a linear fit that nobody made yet."""
        return self._config.start is not None and 'initial_potential' not in self.inputs

    def run_start(self) -> Any:
        """Submit the linear ACE fit that the trainer starts from."""
        return ToContext(start=self.submit(AceCalculation, code=self.inputs.evaluate_code, **self._data(AceCalculation)))

    def inspect_start(self) -> ExitCode | None:
        """Check that there is a potential to start from."""
        if not self.ctx.start.is_finished_ok:
            return self.exit_codes.ERROR_START_FAILED.format(cause=self.ctx.start.exit_message or self.ctx.start.process_state)
        return None

    def run_fit(self) -> Any:
        """Submit the trainer."""
        trainer = find_process(self._config.name, 'train.trainer')
        start = {'initial_potential': self.ctx.start.outputs.potential} if 'start' in self.ctx else {}
        return ToContext(fit=self.submit(trainer, code=self.inputs.code, **{**self._data(trainer), **start}))

    def _data(self, trainer: Any) -> dict[str, Any]:
        """Return what a trainer gets, each time anew: a process fills its options in place."""
        optional = [name for name in OPTIONAL_PORTS if name in self.inputs and name in trainer.spec().inputs]
        return {
            'frames': self.inputs.train_frames,
            **{name: self.inputs[name] for name in ('elements', 'settings', 'seed', *optional)},
            'metadata': {'options': job_options(self.inputs.options.get_dict())},
        }

    def inspect_fit(self) -> ExitCode | None:
        """Take over the potential, also of a fit that failed after writing one."""
        if 'potential' in self.ctx.fit.outputs:
            self.out('potential', self.ctx.fit.outputs.potential)
        if not self.ctx.fit.is_finished_ok:
            return self.exit_codes.ERROR_FIT_FAILED.format(cause=self.ctx.fit.exit_message or self.ctx.fit.process_state)
        return None

    def run_checks(self) -> Any:
        """Let LAMMPS check the potential, and evaluate it on the training and the test frames."""
        limits = orm.Dict(self._config.checks.model_dump(mode='json'))
        train, test, no_spread = self.inputs.train_frames, self.inputs.test_frames, orm.Dict({'spread': False})
        return ToContext(
            check=self.submit(CheckCalculation, frames=train, settings=limits, seed=self.inputs.seed, **self._subject()),
            train=self.submit(EvaluateCalculation, frames=train, settings=no_spread, **self._subject()),
            test=self.submit(EvaluateCalculation, frames=test, **self._subject()),
        )

    def _subject(self) -> dict[str, Any]:
        """Return what all jobs on the new potential have in common, each time anew: a process fills its options in place."""
        return {
            'code': self.inputs.evaluate_code,
            'potential': self.ctx.fit.outputs.potential,
            'metadata': {'options': job_options(self.inputs.options.get_dict())},
        }

    def inspect_checks(self) -> ExitCode | None:
        """Attach predictions, errors and checks, also of a potential that failed one, then judge."""
        evaluations = {name: self.ctx[name] for name in ('train', 'test')}
        for name, child in evaluations.items():
            if child.is_finished_ok:
                self.out(f'{name}_predictions', child.outputs.predictions)
        check = self.ctx.check
        if not check.is_finished_ok and check.exit_status != CheckCalculation.exit_codes.ERROR_CHECKS_FAILED.status:
            return self.exit_codes.ERROR_CHECKS_NOT_MADE.format(cause=check.exit_message or check.process_state)
        if 'curves' in check.outputs:
            self.out('check_curves', check.outputs.curves)
        reports = {name: child.outputs.report for name, child in evaluations.items() if child.is_finished_ok}
        report = summarize_training(self.inputs.settings, self.ctx.fit.outputs.report, check.outputs.report, **reports)
        self.out('report', report)
        if report['failed_checks']:
            return self.exit_codes.ERROR_CHECKS_FAILED.format(reasons='; '.join(report['failed_checks']))
        for child in evaluations.values():
            if not child.is_finished_ok:
                return self.exit_codes.ERROR_EVALUATION_FAILED.format(cause=child.exit_message or child.process_state)
        return None
