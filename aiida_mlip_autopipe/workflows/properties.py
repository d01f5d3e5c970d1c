"""`PropertiesWorkChain`: the physics gate, a potential against the labeller at equal settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain, if_

from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.frames_functions import merge_frames
from aiida_mlip_autopipe.calculations.generate import GenerateCalculation
from aiida_mlip_autopipe.calculations.properties_functions import (
    EXPANSION_PORT,
    add_predictions,
    drop_vacancies,
    files_of,
    judge_properties,
    make_crystals,
    make_expansion_frames,
    make_property_frames,
    make_rest_frames,
    make_rested_crystals,
    move_vacancies,
)
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, add_labeller_port, job_options
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation, SimulationKind
from aiida_mlip_autopipe.workflows.edge import run_inputs
from aiida_mlip_autopipe.workflows.processes import labelling
from aiida_mlip_autopipe.workflows.simulate import SimulateWorkChain

RELAXATION_STEPS: Final = 500
NO_SPREAD: Final = {'spread': False}
"""Setting of the evaluation: nobody asks for the standard deviations here."""

REFERENCE: Final = 'reference_'


def validate_config(value: orm.Dict | None, _: Any) -> str | None:
    """Return why a configuration has no properties to look at, or None."""
    if value is None:
        return None
    try:
        config = MLIPConfig.from_mapping(value.get_dict())
    except InputError as error:
        return str(error)
    return None if config.properties is not None else 'properties: missing; without this section there is nothing to compare'


def validate_inputs(inputs: Any, _: Any) -> str | None:
    """Return why the potential cannot be compared, or None."""
    if not {'potential', 'config'} <= set(inputs):
        return None
    listed, known = inputs['config']['system']['elements'], inputs['potential'].elements
    missing = sorted(set(listed) - set(known))
    return f'potential: knows {known}, but system.elements lists {missing}, too' if missing else None


def properties_inputs(config: MLIPConfig, potential: PotentialData) -> dict[str, Any]:
    """Return the inputs of a :class:`PropertiesWorkChain`: all that the configuration names becomes a node.

    :raises InputError: one line for each thing that is missing in this profile or on this disk.
    """
    return gate_inputs(potential, run_inputs(config, explores=False))


def gate_inputs(potential: PotentialData, run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of a :class:`PropertiesWorkChain` out of those of a run."""
    codes = {f'{name}_code': code for name, code in run['codes'].items() if name in ('label', 'worker', 'lammps')}
    named = {'bases': run.get('generate', {}).get('bases', {}), 'label': run.get('label', {})}
    return {'potential': potential, 'config': run['config'], **codes, **named}


class PropertiesWorkChain(WorkChain):
    """Equations of state first, then all that is measured at the equilibrium that each method has of its own.

    A potential that does not pass is a result: exit status 0, and `passed` in the report is false.
    """

    _spec_class = BandedWorkChainSpec

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs, outline and exit codes."""
        super().define(spec)
        spec.input('potential', valid_type=PotentialData, help='The potential.')
        spec.input(
            'config',
            valid_type=orm.Dict,
            validator=validate_config,
            help='As `MLIPConfig`: its sections properties, system, generate, label and worker count; every field has its unit.',
        )
        spec.input('label_code', valid_type=orm.AbstractCode, help='Code of the labeller, such as `pw.x`.')
        spec.input('worker_code', valid_type=orm.AbstractCode, help='Code of `mlip-worker`.')
        spec.expose_inputs(GenerateCalculation, include=('bases',))
        add_labeller_port(spec)
        spec.input('lammps_code', valid_type=orm.AbstractCode, required=False, help='Code of `lmp`, for aiida-lammps.')
        spec.inputs.validator = validate_inputs
        spec.output(
            'report',
            valid_type=orm.Dict,
            required=False,
            help='`passed`, and `rows`: crystal, property, quantity, unit, potential, reference, error, threshold, passed, note.',
        )
        spec.output(
            'reference_frames',
            valid_type=FramesData,
            required=False,
            help='Labels of the reference (eV, eV/Å, eV/Å³), never trained on.',
        )
        spec.outline(
            cls.setup,
            cls.run_rest,
            cls.inspect_rest,
            if_(cls.should_relax)(cls.run_relaxation, cls.inspect_relaxation),
            if_(cls.should_measure)(cls.run_measurement, cls.inspect_measurement),
            cls.results,
        )
        spec.exit_code(410, 'ERROR_CRYSTALS_FAILED', message='The crystals could not be made: {cause}')
        spec.exit_code(420, 'ERROR_LABELS_FAILED', message='The reference could not be calculated: {cause}')
        spec.exit_code(430, 'ERROR_EVALUATION_FAILED', message='The potential could not be evaluated: {cause}')

    def setup(self) -> ExitCode | None:
        """Make the crystals and the structures of their equations of state."""
        config = MLIPConfig.from_mapping(self.inputs.config.get_dict()).to_mapping()
        self.ctx.config = config
        self.ctx.update(parts={}, failures=[], reused=0, to_measure={}, vacancies=None, expansion={})
        bases = self.inputs.get('bases', {})
        files = {f'file_{i:03d}': bases[name] for i, name in enumerate(files_of(config).values())}
        crystals, node = make_crystals.run_get_node(self.inputs.config, **files)
        if not node.is_finished_ok:
            return self.exit_codes.ERROR_CRYSTALS_FAILED.format(cause=node.exit_message)
        self.ctx.crystals = crystals
        return None

    def run_rest(self) -> Any:
        """Submit the equations of state of both methods."""
        self.ctx.frames = make_rest_frames(self.ctx.crystals, self.inputs.config)
        return ToContext(label=self._label('rest', self.ctx.frames), evaluation=self._evaluate('rest', self.ctx.frames))

    def inspect_rest(self) -> ExitCode | None:
        """Take over both, and make the structures of all properties at the equilibrium of each."""
        if code := self._take(self.ctx.frames, 'rest'):
            return code
        for method in ('potential', 'reference'):
            rested = make_rested_crystals(self.ctx.crystals, self.inputs.config, self.ctx.parts[f'{method}_rest'])
            self.ctx.parts |= {f'{method}_rest_{name}': node for name, node in rested.items()}
        ours, theirs = (self.ctx.parts.get(f'{method}_rest_crystals') for method in ('potential', 'reference'))
        if ours is None or theirs is None:
            return None
        made = make_property_frames(ours, self.inputs.config, theirs)
        other = make_property_frames(theirs, self.inputs.config, ours)
        if 'frames' in made:
            self.ctx.to_measure = {'potential': made['frames'], 'reference': other['frames']}
        self.ctx.vacancies = made.get('vacancies')
        if self.ctx.config['properties']['expansion']:
            self.ctx.expansion = make_expansion_frames(ours, self.inputs.config)
        return None

    def should_relax(self) -> bool:
        """Whether the atoms around a vacancy are to be relaxed."""
        return self.ctx.vacancies is not None and self.ctx.config['properties']['vacancy']['relax']

    def run_relaxation(self) -> Any:
        """Submit the relaxation of the vacancies by the potential."""
        simulation = Simulation(SimulationKind.RELAX, steps=RELAXATION_STEPS)
        return ToContext(relaxation=self._simulate('relax_vacancies', self.ctx.vacancies, orm.Dict(simulation.to_mapping())))

    def inspect_relaxation(self) -> None:
        """Put the relaxed positions into the cells of both methods; without them there is no energy of a vacancy."""
        child = self.ctx.relaxation
        if not child.is_finished_ok:
            self._fail(f'the vacancies could not be relaxed: {child.exit_message or child.process_state}')
            kept = {method: drop_vacancies(frames) for method, frames in self.ctx.to_measure.items()}
            self.ctx.to_measure = {method: nodes['frames'] for method, nodes in kept.items() if 'frames' in nodes}
            return
        ends = child.outputs.ends
        self.ctx.to_measure = {method: move_vacancies(frames, ends) for method, frames in self.ctx.to_measure.items()}

    def should_measure(self) -> bool:
        """Whether anything is asked for beside the equations of state."""
        return bool(self.ctx.to_measure or self.ctx.expansion)

    def run_measurement(self) -> Any:
        """Submit all properties at rest of both methods, and the thermal expansion of the potential."""
        children = {}
        if self.ctx.to_measure:
            children['label'] = self._label('properties', self.ctx.to_measure['reference'])
            children['evaluation'] = self._evaluate('properties', self.ctx.to_measure['potential'])
        for name in self._runs:
            settings = self.ctx.expansion[name]
            children[name] = self._simulate(f'{EXPANSION_PORT}{name[-3:]}', self.ctx.expansion['frames'], settings)
        return ToContext(**children)

    def inspect_measurement(self) -> ExitCode | None:
        """Take over everything; MD that fails is a failure of the potential."""
        for name in self._runs:
            child = self.ctx[name]
            if child.is_finished_ok:
                self.ctx.parts |= {f'{EXPANSION_PORT}{name[-3:]}': child.outputs.report}
            else:
                self._fail(f'MD at constant pressure failed: {child.exit_message or child.process_state}')
        if 'frames' in self.ctx.expansion:
            self.ctx.parts |= {'expansion_frames': self.ctx.expansion['frames']}
        return self._take(self.ctx.to_measure['potential'], 'found') if self.ctx.to_measure else None

    def results(self) -> None:
        """Judge and attach what there is."""
        outcome = orm.Dict({'failures': self.ctx.failures, 'n_reused': self.ctx.reused})
        report = judge_properties(self.inputs.config, self.ctx.crystals, outcome, **self.ctx.parts)
        self.out('report', report)
        labels = {name: node for name, node in self.ctx.parts.items() if name in (f'{REFERENCE}rest', f'{REFERENCE}found')}
        if labels:
            self.out('reference_frames', merge_frames(**labels))
        self.report(_sentence(report.get_dict()))

    @property
    def _runs(self) -> list[str]:
        return sorted(name for name in self.ctx.expansion if name.startswith('settings_'))

    def _label(self, name: str, frames: FramesData) -> orm.ProcessNode:
        """Submit the labeller as a round of the loop does, without its judgement of outliers: these energies differ by little."""
        settings = orm.Dict({**self.ctx.config['label'], 'outlier_zscore': None})
        codes = {'code': self.inputs.label_code, 'worker': self.inputs.worker_code}
        labeller, inputs = labelling(settings, frames=frames, link=f'label_{name}', **codes)
        return self.submit(labeller, **inputs, **self.inputs.get('label', {}))

    def _evaluate(self, name: str, frames: FramesData) -> orm.ProcessNode:
        options = job_options(self.ctx.config['worker']['options'])
        return self.submit(
            EvaluateCalculation,
            code=self.inputs.worker_code,
            potential=self.inputs.potential,
            frames=frames,
            settings=orm.Dict(NO_SPREAD),
            metadata={'call_link_label': f'evaluate_{name}', 'options': options},
        )

    def _simulate(self, name: str, frames: FramesData, settings: orm.Dict) -> orm.ProcessNode:
        code = {'lammps_code': self.inputs.lammps_code} if 'lammps_code' in self.inputs else {}
        return self.submit(
            SimulateWorkChain,
            potential=self.inputs.potential,
            frames=frames,
            settings=settings,
            worker_code=self.inputs.worker_code,
            options=orm.Dict(self.ctx.config['worker']['options']),
            metadata={'call_link_label': name},
            **code,
        )

    def _take(self, frames: FramesData, name: str) -> ExitCode | None:
        """Keep what both methods said of their structures; return the error of one that failed, what there is attached."""
        label, evaluation = self.ctx.label, self.ctx.evaluation
        if 'labelled' in label.outputs:
            self.ctx.parts |= {f'{REFERENCE}{name}': label.outputs.labelled}
            self.ctx.reused += label.outputs.report.get_dict().get('n_reused', 0) if 'report' in label.outputs else 0
        else:
            self.results()
            return self.exit_codes.ERROR_LABELS_FAILED.format(cause=label.exit_message or label.process_state)
        if not evaluation.is_finished_ok:
            self.results()
            return self.exit_codes.ERROR_EVALUATION_FAILED.format(cause=evaluation.exit_message or evaluation.process_state)
        if not label.is_finished_ok:
            self._fail(f'labels are missing: {label.exit_message or label.process_state}')
        self.ctx.parts |= {f'potential_{name}': add_predictions(frames, evaluation.outputs.predictions)}
        return None

    def _fail(self, sentence: str) -> None:
        self.ctx.failures.append(sentence)
        self.report(sentence)


def _sentence(report: dict[str, Any]) -> str:
    failed = [f'{row["crystal"]} {row["quantity"]}' for row in report['rows'] if row['passed'] is False]
    judged = [row for row in report['rows'] if row['passed'] is not None]
    told = f', not {", ".join(failed)}' if failed else ''
    passed = 'passed' if report['passed'] else 'did not pass'
    return f'the potential {passed}: {len(judged) - len(failed)} of {len(judged)} quantities{told}'
