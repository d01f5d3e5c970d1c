"""`StagesWorkChain`: the steps generate, select, label and train, which the one-shot run and the loop are made of."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ExitCode, ToContext, WorkChain

from aiida_mlip_autopipe.calculations.bases import bases_of
from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.frames_functions import add_isolated_atoms, merge_frames, split_frames, take_frames
from aiida_mlip_autopipe.calculations.generate import GenerateCalculation
from aiida_mlip_autopipe.calculations.report_functions import summarize_round, summarize_run
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, job_options
from aiida_mlip_autopipe.calculations.surrogate import SurrogateCalculation
from aiida_mlip_autopipe.common.units import MILLI
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.select import PreExplorationConfig
from aiida_mlip_autopipe.config.train import TrainingConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.checks import find_code, find_process, find_stage_code, surrogate_model, validate_config
from aiida_mlip_autopipe.workflows.train import TrainWorkChain

SEED_STRIDE = 1000
"""Distance of the seeds of two rounds, so that no stage of one round shares its seed with a stage of another."""

BASE_OUTPUTS = ('references', 'test', 'train')


class StagesWorkChain(WorkChain):
    """Inputs, outputs and steps shared by the chains that run a whole configuration; the outline is the subclass's."""

    _spec_class = BandedWorkChainSpec

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
        spec.exit_code(420, 'ERROR_SELECT_FAILED', message='Round {round}: selecting structures failed: {cause}')
        spec.exit_code(430, 'ERROR_LABEL_FAILED', message='Round {round}: labelling failed: {cause}')
        spec.exit_code(431, 'ERROR_REFERENCES_MISSING', message='The isolated atoms of {elements} could not be labelled: {cause}')
        spec.exit_code(440, 'ERROR_TRAIN_FAILED', message='Round {round}: training failed: {cause}')
        spec.exit_code(450, 'ERROR_EXPLORE_FAILED', message='Round {round}: exploring failed: {cause}')
        spec.exit_code(510, 'ERROR_CHECKS_FAILED', message='The run ended, but its last potential has a caveat: {cause}')

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
        """Load the codes and start with nothing bought."""
        config = MLIPConfig.from_mapping(self.inputs.config.get_dict())
        self.ctx.config = config.to_mapping()
        self.ctx.worker = find_code(self.ctx.config['worker']['code'], 'worker.code')
        self.ctx.train_code = find_stage_code(config.train, config.worker.code)
        self.ctx.label_code = find_code(self.ctx.config['label']['code'], 'label.code')
        self.ctx.model = surrogate_model(config.select)
        self.ctx.round = 0
        self.ctx.labels_bought = 0
        self.ctx.labels_total = 0
        self.ctx.entries = []
        self.ctx.quarantined = []
        self.ctx.stop_reason = None
        self.ctx.pool = None

    def run_generate(self) -> Any:
        """Submit the generation of the candidates of round 0."""
        child = self.submit(
            GenerateCalculation,
            code=self.ctx.worker,
            system=orm.Dict(self.ctx.config['system']),
            settings=orm.Dict(self.ctx.config['generate']),
            seed=self._seed(),
            bases=bases_of(self.ctx.config['generate']),
            metadata=self._metadata('generate'),
        )
        return ToContext(generate=child)

    def inspect_generate(self) -> ExitCode | None:
        """Take over the candidates."""
        if not self.ctx.generate.is_finished_ok:
            return self._stop(self.exit_codes.ERROR_GENERATE_FAILED, self.ctx.generate)
        self.ctx.pool = self.ctx.generate.outputs.frames
        return None

    def run_select(self) -> Any:
        """Submit the selection of what is worth a label, within the budget of the round."""
        known = {'known': self.ctx.frames} if 'frames' in self.ctx else {}
        potential = {'potential': self.ctx.potential, 'train': self.ctx.train} if 'potential' in self.ctx else {}
        child = self.submit(
            SurrogateCalculation,
            code=self.ctx.worker,
            frames=self.ctx.pool,
            budget=orm.Int(self._budget()),
            settings=orm.Dict(self._select_settings()),
            seed=self._seed(),
            metadata=self._metadata('select'),
            **known,
            **potential,
            **({'model': self.ctx.model} if self.ctx.model is not None else {}),
        )
        return ToContext(select=child)

    def inspect_select(self) -> ExitCode | None:
        """Take over what was selected; nothing new among the candidates of a later round is no failure."""
        child = self.ctx.select
        if child.is_finished_ok:
            pool = child.outputs.pool if 'pool' in child.outputs else self.ctx.pool
            self.ctx.selected = take_frames(pool, child.outputs.selection)
            return None
        if self.ctx.round > 0 and child.exit_status == SurrogateCalculation.exit_codes.ERROR_NOTHING_SELECTED.status:
            self.ctx.selected = None
            return None
        return self._stop(self.exit_codes.ERROR_SELECT_FAILED, child)

    def should_label(self) -> bool:
        """Whether the selection found something worth a label."""
        return self.ctx.selected is not None

    def run_label(self) -> Any:
        """Submit the labelling; round 0 buys the isolated atoms too."""
        label = self.ctx.config['label']
        frames = self.ctx.selected
        if self.ctx.round == 0:
            elements = orm.List(self.ctx.config['system']['elements'])
            frames = add_isolated_atoms(frames, elements, orm.Float(label['isolated_box']))
        self.ctx.labels_bought = len(frames)
        self.ctx.labels_total += len(frames)
        settings = label.get('settings', label)
        labeller = find_process(label['labeller'], 'label.labeller')
        metadata = self._metadata('label', label['options'])
        if issubclass(labeller, WorkChain):
            metadata.pop('options')
        helper = {'worker_code': self.ctx.worker} if 'worker_code' in labeller.spec().inputs else {}
        child = self.submit(
            labeller, code=self.ctx.label_code, frames=frames, settings=orm.Dict(settings), metadata=metadata, **helper
        )
        return ToContext(label=child)

    def inspect_label(self) -> ExitCode | None:
        """Take over the labels: round 0 is split once and for all, later rounds extend the training set."""
        child = self.ctx.label
        if 'quarantined' in child.outputs:
            self.ctx.quarantined.append(child.outputs.quarantined)
        if not child.is_finished_ok or 'labelled' not in child.outputs:
            return self._stop(self.exit_codes.ERROR_LABEL_FAILED, child)
        self.ctx.new = child.outputs.labelled
        if self.ctx.round == 0:
            return self._split(child.outputs.labelled)
        self.ctx.train = merge_frames(a_old=self.ctx.train, b_new=self.ctx.new)
        self.ctx.frames = merge_frames(a_old=self.ctx.frames, b_new=self.ctx.new)
        return None

    def _split(self, labelled: FramesData) -> ExitCode | None:
        fraction = orm.Float(self.ctx.config['loop']['test_fraction'])
        parts, node = split_frames.run_get_node(labelled, fraction, self._seed())
        if not node.is_finished_ok:
            return self._stop(self.exit_codes.ERROR_LABEL_FAILED, node)
        for name in BASE_OUTPUTS:
            self.ctx[name] = parts[name]
        self.ctx.frames = labelled
        missing = sorted(set(self.ctx.config['system']['elements']) - set(parts['references'].base.attributes.get('elements')))
        if missing:
            reasons = self.ctx.label.outputs.report['failures']
            return self._stop(self.exit_codes.ERROR_REFERENCES_MISSING, cause=reasons, elements=missing)
        return None

    def run_train(self) -> Any:
        """Submit the training, and in later rounds the test of the old potential on the labels that it has not seen."""
        options = self.ctx.config['worker']['options']
        children = {
            'fit': self.submit(
                TrainWorkChain,
                code=self.ctx.train_code,
                evaluate_code=self.ctx.worker,
                train_frames=self.ctx.train,
                test_frames=self.ctx.test,
                references=self.ctx.references,
                elements=orm.List(self.ctx.config['system']['elements']),
                settings=orm.Dict(self.ctx.config['train']),
                seed=self._seed(),
                options=orm.Dict(options),
                metadata={'call_link_label': f'train_{self.ctx.round:02d}'},
                **self._start(),
            )
        }
        if self.ctx.round > 0:
            children['acquisition'] = self.submit(
                EvaluateCalculation,
                code=self.ctx.worker,
                potential=self.ctx.potential,
                frames=self.ctx.new,
                metadata=self._metadata('acquisition'),
            )
        return ToContext(**children)

    def _start(self) -> dict[str, PotentialData]:
        """Return the potential of the round before where the trainer can start from it."""
        config = TrainingConfig.model_validate(self.ctx.config['train'])
        ports = find_process(config.trainer, 'train.trainer').spec().inputs
        is_wanted = self.ctx.round > 0 and 'initial_potential' in ports and not config.starts_afresh
        return {'initial_potential': self.ctx.potential} if is_wanted else {}

    def inspect_train(self) -> ExitCode | None:
        """Take over the potential and close the round; one that failed a check may still find out what it does not know."""
        self.ctx.caveat = None
        if not self.ctx.fit.is_finished_ok:
            if self.ctx.fit.exit_status != TrainWorkChain.exit_codes.ERROR_CHECKS_FAILED.status:
                return self._stop(self.exit_codes.ERROR_TRAIN_FAILED, self.ctx.fit)
            self.ctx.caveat = self.ctx.fit.exit_message
            self.report(f'round {self.ctx.round}: {self.ctx.caveat}')
        self.ctx.potential = self.ctx.fit.outputs.potential
        if 'acquisition' in self.ctx and not self.ctx.acquisition.is_finished_ok:
            self.report(f'the old potential could not be evaluated on the new labels: {self.ctx.acquisition.exit_message}')
        self.close_round(trained=True)
        return None

    def judge(self) -> ExitCode | None:
        """Return the caveat of the newest potential as the exit code of a run that has attached everything."""
        return self.exit_codes.ERROR_CHECKS_FAILED.format(cause=self.ctx.caveat) if self.ctx.caveat else None

    def close_round(self, *, trained: bool) -> None:
        """Add the entry of the round to the report and to the history that decides about the next one."""
        names = ['select', 'label'] if self.ctx.round == 0 else ['explore', 'select', 'label', 'acquisition']
        if not trained:
            names = ['explore', *(['select'] if self.ctx.pool is not None else [])]
        children = {name: self.ctx[name] for name in names}
        if trained:
            children['train'] = self.ctx.fit
        reports = {name: child.outputs.report for name, child in children.items() if 'report' in child.outputs}
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
            ('potential', 'potential'),
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
        outcome = orm.Dict({'stop_reason': self.ctx.stop_reason, 'labels_total': self.ctx.labels_total})
        rounds = {f'round_{index:03d}': entry for index, entry in enumerate(self.ctx.entries)}
        self.out('report', summarize_run(outcome, **rounds))

    def _budget(self) -> int:
        loop = self.ctx.config['loop']
        isolated = len(self.ctx.config['system']['elements'])
        if self.ctx.round == 0:
            return int(min(loop['initial_labels'], loop['max_labels'] - isolated))
        return int(min(loop['labels_per_round'], loop['max_labels'] - self.ctx.labels_total))

    def _select_settings(self) -> dict[str, Any]:
        """Return the settings of the selection; the candidates of later rounds come from MD and need no walk before."""
        settings = self.ctx.config['select']
        return {**settings, 'pre_explore': PreExplorationConfig().model_dump()} if self.ctx.round > 0 else settings

    def _seed(self) -> orm.Int:
        return orm.Int(self.ctx.config['seed'] + SEED_STRIDE * self.ctx.round)

    def _metadata(self, stage: str, options: dict[str, Any] | None = None) -> dict[str, Any]:
        return {
            'call_link_label': f'{stage}_{self.ctx.round:02d}',
            'options': job_options(options or self.ctx.config['worker']['options']),
        }

    def _stop(self, code: ExitCode, child: orm.ProcessNode | None = None, **details: Any) -> ExitCode:
        """Attach what there is and return the exit code with the cause."""
        self.ctx.stop_reason = 'failed'
        self.results()
        cause = details.pop('cause', None) or (child and (child.exit_message or child.process_state))
        return code.format(round=self.ctx.round, cause=cause, **details)


def _sentence(entry: dict[str, Any]) -> str:
    test = entry['test_errors']
    errors = (
        f'frozen test set {MILLI * test["energy_rmse"]:.1f} meV/atom, {MILLI * test["force_rmse"]:.0f} meV/Å'
        if test
        else 'no new fit'
    )
    return f'round {entry["round"]}: {entry["labels_bought"]} labels bought, {entry["n_train"]} training frames, {errors}'
