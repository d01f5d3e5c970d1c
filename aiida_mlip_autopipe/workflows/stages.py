"""`StagesWorkChain`: the steps generate, select, label and train, which the one-shot run and the loop are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain

from aiida_mlip_autopipe.calculations.config_functions import stage_settings
from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.frames_functions import gather_frames, merge_frames
from aiida_mlip_autopipe.calculations.generate import GenerateCalculation
from aiida_mlip_autopipe.calculations.report_functions import summarize_round, summarize_run
from aiida_mlip_autopipe.calculations.selection import SelectCalculation
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, add_labeller_port, job_options
from aiida_mlip_autopipe.calculations.testset_functions import make_test_set, part_labels
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import MILLI
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.selection import PreExplorationConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.science.trainer import Trainer
from aiida_mlip_autopipe.workflows.builders import BuilderMixin
from aiida_mlip_autopipe.workflows.processes import find_process, labelling
from aiida_mlip_autopipe.workflows.train import TrainWorkChain

SEED_STRIDE = 1000
"""Distance of the seeds of two rounds, so that no stage of one round shares its seed with a stage of another."""

TEST_SEED = SEED_STRIDE // 2
"""Added to the seed of a round for what is made for the test set."""


def validate_config(value: orm.Dict | None, _: Any) -> str | None:
    """Return what is wrong with a whole configuration in itself, or None."""
    if value is None:
        return None
    try:
        MLIPConfig.from_mapping(value.get_dict()).require_first_round()
    except InputError as error:
        return str(error)
    return None


class StagesWorkChain(WorkChain, BuilderMixin):
    """Inputs, outputs and steps shared by the chains that run a whole configuration; the outline is the subclass's."""

    _spec_class = BandedWorkChainSpec

    CODES: ClassVar[Mapping[str, str]] = {
        'worker': '`mlip-worker`',
        'label': 'the labeller, such as `pw.x`',
        'train': 'the trainer, or of `mlip-worker`',
        'lammps': '`lmp`, for aiida-lammps',
    }

    @classmethod
    def define(cls, spec: Any) -> None:
        """Define inputs, outputs and exit codes."""
        super().define(spec)
        spec.input(
            'config',
            valid_type=orm.Dict,
            validator=validate_config,
            help='The whole configuration, as `MLIPConfig`; every field describes its unit (Å, eV, fs, K, GPa, Ry).',
        )
        spec.input_namespace('codes', help='Programs of the stages.')
        for name, program in cls.CODES.items():
            spec.input(f'codes.{name}', valid_type=orm.AbstractCode, required=name != 'lammps', help=f'Code of {program}.')
        for stage, process, port in (('generate', GenerateCalculation, 'bases'), ('select', SelectCalculation, 'model')):
            named = {'help': f'What the section {stage} of the configuration names.', 'dynamic': False}
            spec.expose_inputs(process, namespace=stage, include=(port,), namespace_options=named)
        add_labeller_port(spec)
        spec.output('potential', valid_type=PotentialData, required=False, help='The potential of the last round that gave one.')
        spec.output(
            'frames',
            valid_type=FramesData,
            required=False,
            help='All labelled frames: references, test and training (eV, eV/Å, eV/Å³).',
        )
        spec.output('train_frames', valid_type=FramesData, required=False, help='Training frames (eV, eV/Å, eV/Å³).')
        spec.output('test_frames', valid_type=FramesData, required=False, help='The frozen test set (eV, eV/Å, eV/Å³).')
        spec.output('references', valid_type=FramesData, required=False, help='Isolated atoms (eV).')
        spec.output('quarantined', valid_type=FramesData, required=False, help='Frames that got no label (Å).')
        spec.output('report', valid_type=orm.Dict, required=False, help='One entry for each round, and why the run stopped.')
        spec.exit_code(410, 'ERROR_GENERATE_FAILED', message='Round {round}: generating structures failed: {cause}')
        spec.exit_code(411, 'ERROR_TEST_SET_FAILED', message='Round {round}: the test set cannot be made: {cause}')
        spec.exit_code(420, 'ERROR_SELECT_FAILED', message='Round {round}: selecting structures failed: {cause}')
        spec.exit_code(430, 'ERROR_LABEL_FAILED', message='Round {round}: labelling failed: {cause}')
        spec.exit_code(431, 'ERROR_REFERENCES_MISSING', message='The isolated atoms of {elements} could not be labelled: {cause}')
        spec.exit_code(440, 'ERROR_TRAIN_FAILED', message='Round {round}: training failed: {cause}')
        spec.exit_code(450, 'ERROR_EXPLORE_FAILED', message='Round {round}: exploring failed: {cause}')
        spec.exit_code(510, 'ERROR_CHECKS_FAILED', message='The run ended, but its potential did not pass its checks: {cause}')

    @classmethod
    def first_round(cls) -> tuple[Any, ...]:
        """Return the steps of round 0, for the outline."""
        return (
            cls.setup,
            cls.run_generate,
            cls.inspect_generate,
            cls.run_select,
            cls.inspect_select,
            cls.run_label,
            cls.inspect_label,
            cls.run_train,
            cls.inspect_train,
        )

    def setup(self) -> None:
        """Start with nothing bought."""
        self.ctx.config = MLIPConfig.from_mapping(self.inputs.config.get_dict()).to_mapping()
        self.ctx.settings = stage_settings(self.inputs.config)
        self.ctx.round = 0
        self.ctx.labels_bought = 0
        self.ctx.labels_total = 0
        self.ctx.entries = []
        self.ctx.quarantined = []
        self.ctx.stop_reason = None
        self.ctx.verdict = {}
        self.ctx.pool = None
        self.ctx.for_test = None
        self.ctx.md_report = None
        self.ctx.acquisition = None

    def run_generate(self) -> Any:
        """Submit the generation of the candidates of round 0, and with another seed that of the test set."""
        return ToContext(
            generate=self._generate('generate', self._seed()), generate_test=self._generate('generate_test', self._test_seed())
        )

    def _generate(self, stage: str, seed: orm.Int) -> Any:
        return self.submit(
            GenerateCalculation,
            code=self.inputs.codes.worker,
            system=self.ctx.settings['system'],
            settings=self.ctx.settings['generate'],
            seed=seed,
            bases=self.inputs.get('generate', {}).get('bases', {}),
            metadata=self._metadata(stage),
        )

    def inspect_generate(self) -> ExitCode | None:
        """Take over the candidates, and choose the frames of the test set, whose lineages are its own."""
        for child in (self.ctx.generate, self.ctx.generate_test):
            if not child.is_finished_ok:
                return self._stop(self.exit_codes.ERROR_GENERATE_FAILED, child)
        self.ctx.pool = self.ctx.generated = self.ctx.generate.outputs.frames
        drawn, count = self.ctx.generate_test.outputs.frames, orm.Int(self.ctx.config['loop']['test_labels'])
        parts, node = make_test_set.run_get_node(self.ctx.pool, drawn, self._test_limits(), count, self._test_seed())
        if not node.is_finished_ok:
            return self._stop(self.exit_codes.ERROR_TEST_SET_FAILED, node)
        self.ctx.for_test, self.ctx.test_bases = parts['frames'], parts.get('bases')
        return None

    def run_select(self) -> Any:
        """Submit the selection of what is worth a label, within the budget of the round."""
        known = {'known': self.ctx.train} if 'train' in self.ctx else {}  # what is tested must not steer what is learnt
        potential = {'potential': self.ctx.potential, 'train': self.ctx.train} if 'potential' in self.ctx else {}
        child = self.submit(
            SelectCalculation,
            code=self.inputs.codes.worker,
            frames=self.ctx.pool,
            budget=orm.Int(self._budget()),
            settings=orm.Dict(self._select_settings()),
            seed=self._seed(),
            metadata=self._metadata('select'),
            **known,
            **potential,
            **self.inputs.get('select', {}),
        )
        return ToContext(select=child)

    def inspect_select(self) -> ExitCode | None:
        """Take over what was selected; nothing new among the candidates of a later round is no failure."""
        child = self.ctx.select
        if child.is_finished_ok:
            pool = child.outputs.pool if 'pool' in child.outputs else self.ctx.pool
            self.ctx.selected = {'pool': pool, 'selection': child.outputs.selection}
            return None
        if self.ctx.round > 0 and child.exit_status == SelectCalculation.exit_codes.ERROR_NOTHING_SELECTED.status:
            self.ctx.selected = None
            return None
        return self._stop(self.exit_codes.ERROR_SELECT_FAILED, child)

    def should_label(self) -> bool:
        """Whether there is something worth a label, for training or for the test set."""
        return self.ctx.selected is not None or self.ctx.for_test is not None

    def run_label(self) -> Any:
        """Submit the labelling of what was selected and of new test frames; round 0 buys the isolated atoms too."""
        label = self.ctx.config['label']
        wanted: dict[str, orm.Data] = dict(self.ctx.selected or {})
        if self.ctx.for_test is not None:
            wanted['test'] = self.ctx.for_test
        if self.ctx.round == 0:
            wanted['elements'] = orm.List(self.ctx.config['system']['elements'])
            wanted['box'] = orm.Float(label['isolated_box'])
        frames = gather_frames(**wanted)
        self.ctx.labels_bought = len(frames)
        self.ctx.labels_total += len(frames)
        codes = {'code': self.inputs.codes.label, 'worker': self.inputs.codes.worker}
        labeller, inputs = labelling(self.ctx.settings['label'], frames=frames, link=f'label_{self.ctx.round:02d}', **codes)
        return ToContext(label=self.submit(labeller, **inputs, **self.inputs.get('label', {})))

    def inspect_label(self) -> ExitCode | None:
        """Take over the labels: those of test frames are frozen, all others are for training."""
        child = self.ctx.label
        if 'quarantined' in child.outputs:
            self.ctx.quarantined.append(child.outputs.quarantined)
        if not child.is_finished_ok or 'labelled' not in child.outputs:
            return self._stop(self.exit_codes.ERROR_LABEL_FAILED, child)
        labelled = child.outputs.labelled
        self._extend('frames', labelled)
        if self.ctx.for_test is None:
            parts = {'train': labelled}
        else:
            parts, node = part_labels.run_get_node(labelled, self.ctx.for_test)
            if not node.is_finished_ok and self.ctx.round == 0:
                return self._stop(self.exit_codes.ERROR_LABEL_FAILED, node)
            parts = parts if node.is_finished_ok else {'train': labelled}
            self.ctx.for_test = None
        self.ctx.new = parts.get('train')
        for name, node in parts.items():
            self._extend(name, node)
        return self._what_is_missing() if self.ctx.round == 0 else None

    def _extend(self, name: str, new: FramesData) -> None:
        """Add frames to those of a name."""
        self.ctx[name] = merge_frames(a_old=self.ctx[name], b_new=new) if name in self.ctx else new

    def _what_is_missing(self) -> ExitCode | None:
        """Return an exit code where round 0 brought no training frame, or not all isolated atoms."""
        found = set(self.ctx.references.base.attributes.get('elements')) if 'references' in self.ctx else set()
        missing = sorted(set(self.ctx.config['system']['elements']) - found)
        reasons = self.ctx.label.outputs.report['failures']
        if missing:
            return self._stop(self.exit_codes.ERROR_REFERENCES_MISSING, cause=reasons, elements=missing)
        return None if 'train' in self.ctx else self._stop(self.exit_codes.ERROR_LABEL_FAILED, cause=reasons)

    def run_train(self) -> Any:
        """Submit the training, and in later rounds the test of the old potential on the labels that it has not seen."""
        children = {
            'fit': self.submit(
                TrainWorkChain,
                code=self.inputs.codes.train,
                evaluate_code=self.inputs.codes.worker,
                train_frames=self.ctx.train,
                test_frames=self.ctx.test,
                references=self.ctx.references,
                elements=orm.List(self.ctx.config['system']['elements']),
                settings=self.ctx.settings['train'],
                seed=self._seed(),
                options=self.ctx.settings['options'],
                metadata={'call_link_label': f'train_{self.ctx.round:02d}'},
                **self._start(),
            )
        }
        self.ctx.acquisition = None
        if self.ctx.round > 0 and self.ctx.new is not None:
            children['acquisition'] = self.submit(
                EvaluateCalculation,
                code=self.inputs.codes.worker,
                potential=self.ctx.potential,
                frames=self.ctx.new,
                metadata=self._metadata('acquisition'),
            )
        return ToContext(**children)

    def _start(self) -> dict[str, PotentialData]:
        """Return the potential of the round before where the trainer can start from it."""
        config = Trainer.of(self.ctx.config['train'])
        ports = find_process(config.name, 'train.trainer').spec().inputs
        is_wanted = self.ctx.round > 0 and 'initial_potential' in ports and config.continues
        return {'initial_potential': self.ctx.potential} if is_wanted else {}

    def inspect_train(self) -> ExitCode | None:
        """Take over the potential and close the round; one that failed a check may still find out what it does not know."""
        if not self.ctx.fit.is_finished_ok:
            if self.ctx.fit.exit_status != TrainWorkChain.exit_codes.ERROR_CHECKS_FAILED.status:
                return self._stop(self.exit_codes.ERROR_TRAIN_FAILED, self.ctx.fit)
            self.report(f'round {self.ctx.round}: {self.ctx.fit.exit_message}')
        self.ctx.potential = self.ctx.result = self.ctx.fit.outputs.potential
        if self.ctx.acquisition is not None and not self.ctx.acquisition.is_finished_ok:
            self.report(f'the old potential could not be evaluated on the new labels: {self.ctx.acquisition.exit_message}')
        self.close_round(trained=True)
        return None

    def judge(self) -> ExitCode | None:
        """Return what is wrong with the potential that is the result, as the exit code of a run that has attached everything."""
        faults = [fault for entry in self.ctx.entries if entry['potential'] == self.ctx.result.uuid for fault in _faults(entry)]
        return self.exit_codes.ERROR_CHECKS_FAILED.format(cause='; '.join(faults)) if faults else None

    def close_round(self, *, trained: bool) -> None:
        """Add the entry of the round to the report and to the history that decides about the next one."""
        names = ['select', 'label'] if self.ctx.round == 0 else ['explore', 'select', 'label', 'acquisition']
        if not trained:
            names = ['explore', 'select']
        there = {'select': self.ctx.select, 'acquisition': self.ctx.acquisition}
        children = {name: self.ctx[name] for name in names if there.get(name, name) is not None}
        if trained:
            children['train'] = self.ctx.fit
        reports = {name: child.outputs.report for name, child in children.items() if 'report' in child.outputs}
        if self.ctx.md_report is not None:
            reports['test_md'] = self.ctx.md_report
        counts = {
            'round': self.ctx.round,
            'labels_bought': self.ctx.labels_bought if trained else 0,
            'labels_total': self.ctx.labels_total,
            'n_train': len(self.ctx.train),
            'n_test': len(self.ctx.test),
            'potential': self.ctx.potential.uuid,
        }
        entry = summarize_round(orm.Dict(counts), **reports)
        self.ctx.entries.append(entry)
        self.report(_sentence(entry.get_dict()))

    def results(self) -> None:
        """Attach everything there is, also when the run ends with an error."""
        for output, name in (
            ('potential', 'result'),
            ('frames', 'frames'),
            ('train_frames', 'train'),
            ('test_frames', 'test'),
            ('references', 'references'),
        ):
            if name in self.ctx:
                self.out(output, self.ctx[name])
        if self.ctx.quarantined:
            parts = {f'part_{index:03d}': node for index, node in enumerate(self.ctx.quarantined)}
            self.out('quarantined', merge_frames(**parts))
        outcome = orm.Dict({'stop_reason': self.ctx.stop_reason, 'labels_total': self.ctx.labels_total, **self.ctx.verdict})
        rounds = {f'round_{index:03d}': entry for index, entry in enumerate(self.ctx.entries)}
        self.out('report', summarize_run(outcome, **rounds))

    def _budget(self) -> int:
        """Return how many training frames the round may buy; round 0 leaves what the second part of the test set costs."""
        loop = self.ctx.config['loop']
        left = loop['max_labels'] - self.ctx.labels_total - (len(self.ctx.for_test) if self.ctx.for_test is not None else 0)
        if self.ctx.round == 0:
            isolated = len(self.ctx.config['system']['elements'])
            return int(min(loop['initial_labels'], left - isolated - self._kept_for_md()))
        return int(min(loop['labels_per_round'], left))

    def _kept_for_md(self) -> int:
        """Return how many labels are kept for the second part of the test set; without exploring there is none."""
        return 0

    def _test_limits(self) -> orm.Dict:
        """Return what a frame must fulfil to be tested, as for training."""
        select, checks = self.ctx.config['select'], self.ctx.config['generate']['checks']
        return orm.Dict(
            {
                'min_bond_fraction': select['min_bond_fraction'],
                'max_skew': select['max_skew'],
                'volume': select['volume_window'],
                'tolerance': checks['duplicate_tolerance'],
            }
        )

    def _select_settings(self) -> dict[str, Any]:
        """Return the settings of the selection; the candidates of later rounds come from MD and need no walk before."""
        settings = self.ctx.config['select']
        return {**settings, 'pre_explore': PreExplorationConfig().model_dump()} if self.ctx.round > 0 else settings

    def _seed(self) -> orm.Int:
        return orm.Int(self.ctx.config['seed'] + SEED_STRIDE * self.ctx.round)

    def _test_seed(self) -> orm.Int:
        return orm.Int(self._seed().value + TEST_SEED)

    def _metadata(self, stage: str) -> dict[str, Any]:
        options = job_options(self.ctx.config['worker']['options'])
        return {'call_link_label': f'{stage}_{self.ctx.round:02d}', 'options': options}

    def _stop(self, code: ExitCode, child: orm.ProcessNode | None = None, **details: Any) -> ExitCode:
        """Attach what there is and return the exit code with the cause."""
        self.ctx.stop_reason = 'failed'
        self.results()
        cause = details.pop('cause', None) or (child and (child.exit_message or child.process_state))
        return code.format(round=self.ctx.round, cause=cause, **details)


def _faults(entry: orm.Dict) -> list[str]:
    return list(entry.get('failed_checks', []))


def _sentence(entry: dict[str, Any]) -> str:
    test = entry['test_errors']
    errors = (
        f'frozen test set {MILLI * test["energy_rmse"]:.1f} meV/atom, {MILLI * test["force_rmse"]:.0f} meV/Å'
        if test
        else 'no new fit'
    )
    return f'round {entry["round"]}: {entry["labels_bought"]} labels bought, {entry["n_train"]} training frames, {errors}'
