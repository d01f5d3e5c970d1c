"""`MLIPConfig`: the whole configuration of a run, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.job_options import JobOptions
from aiida_mlip_autopipe.common.prototypes import SITES_PER_CELL
from aiida_mlip_autopipe.common.settings import Settings, explain
from aiida_mlip_autopipe.config.converge import ConvergeConfig
from aiida_mlip_autopipe.config.expected import check_formula, compositions_of, config_types_of, has_other_bases, least_first
from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.config.loop import ActiveLearningConfig
from aiida_mlip_autopipe.config.properties import PropertiesConfig, chosen_crystals
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.config.system import TargetSystem
from aiida_mlip_autopipe.config.yaml_file import read_yaml
from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from aiida_mlip_autopipe.engines.pod.trainer import PodTrainer
from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.labeller import Labeller
from aiida_mlip_autopipe.science.trainer import Trainer

FEWEST_TO_TRAIN: Final = 2
"""Training labels that a budget must leave, as many as `loop.initial_labels` must be at least."""


if TYPE_CHECKING:
    AnyLabeller = Labeller
    AnyTrainer = Trainer
    AnyExplorer = Explorer
else:
    AnyLabeller, AnyTrainer, AnyExplorer = Labeller.union(), Trainer.union(), Explorer.union()


class WorkerConfig(Settings):
    """Where the stages that are not labelling run."""

    code: str = Field(default='mlip-worker@localhost', description='label of the AiiDA code of mlip-worker')
    options: JobOptions = JobOptions()


class MLIPConfig(Settings):
    """Everything that determines a run: the same configuration gives the same structures, labels and potential."""

    name: str = Field(default='mlip', min_length=1, description='name of the run, used as label of its process')
    seed: NonNegativeInt = Field(default=0, le=2**31 - 1, description='seed of everything that is random')
    system: TargetSystem
    generate: GeneratorConfig = GeneratorConfig()
    select: SelectionConfig = SelectionConfig()
    label: AnyLabeller
    converge: ConvergeConfig = ConvergeConfig()
    train: AnyTrainer = PodTrainer()
    explore: AnyExplorer = LammpsMd()
    properties: PropertiesConfig | None = None
    loop: ActiveLearningConfig = ActiveLearningConfig()
    worker: WorkerConfig = WorkerConfig()

    @model_validator(mode='before')
    @classmethod
    def choose_explorer(cls, values: Any) -> Any:
        """Return the values with the explorer that runs the potentials of the trainer, where none was chosen."""
        train, explore = (values.get(name, {}) for name in ('train', 'explore')) if isinstance(values, dict) else ({}, {})
        if not isinstance(train, dict) or not isinstance(explore, dict) or 'explorer' in explore:
            return values
        trainer = Trainer.registered().get(str(train.get(Trainer.KEY, Trainer.DEFAULT)))
        if trainer is None:
            return values  # what is wrong is told when it is checked
        return {**values, 'explore': {**explore, 'explorer': trainer.EXPLORER}}

    @model_validator(mode='after')
    def check_explorer(self) -> Self:
        """Refuse an explorer that cannot run the potentials of the trainer."""
        if self.explore.ENGINES is not None and self.train.ENGINE not in self.explore.ENGINES:
            raise ValueError(
                f'explore.explorer: got {self.explore.name!r}; it cannot run the potentials of {self.train.name}: '
                f'take {self.train.EXPLORER}, or leave it out'
            )
        return self

    @model_validator(mode='after')
    def check_budget(self) -> Self:
        """Refuse a budget that isolated atoms and test set use up, so that nothing could be trained on."""
        n_isolated, n_test = len(self.system.elements), self.loop.all_test_labels
        needed = n_isolated + n_test + FEWEST_TO_TRAIN
        if self.loop.max_labels < needed:
            raise ValueError(
                f'loop.max_labels: got {self.loop.max_labels}; must be at least {needed}: {n_isolated} isolated atoms, {n_test} '
                f'test frames (test_labels {self.loop.test_labels}, test_md_labels {self.loop.test_md_labels}) and '
                f'{FEWEST_TO_TRAIN} training frames'
            )
        return self

    @model_validator(mode='after')
    def check_test_set(self) -> Self:
        """Refuse a test set in which a composition or a temperature could not occur; config_types are seen when it is made."""
        loop, n_alloys, n_temperatures = self.loop, len(self.system.alloys), len(self.explore.temperatures)
        if loop.test_labels < n_alloys:
            raise ValueError(f'loop.test_labels: got {loop.test_labels}; must be at least {n_alloys}, one for each composition')
        if 0 < loop.test_md_labels < n_temperatures:
            raise ValueError(
                f'loop.test_md_labels: got {loop.test_md_labels}; must be 0 or at least {n_temperatures}, one for each of '
                'explore.temperatures'
            )
        return self

    @model_validator(mode='after')
    def check_quotas(self) -> Self:
        """Refuse quotas for what no candidate can be."""
        quotas = self.select.quotas
        types = config_types_of(self.generate)
        if types is not None and (wrong := sorted(set(quotas.config_type) - types)):
            raise ValueError(f'select.quotas.config_type: got {wrong}; candidates of this configuration are {sorted(types)}')
        formulas = compositions_of(self.system, self.generate)
        for name in quotas.composition:
            if formulas is not None and name not in formulas:
                raise ValueError(
                    f'select.quotas.composition: got {name!r}; candidates of this configuration are {sorted(formulas)}'
                )
            check_formula(name, self.system.elements)
        return self

    @model_validator(mode='after')
    def check_elements(self) -> Self:
        """Refuse elements that no structure can have; those of bases from elsewhere are seen when they are read."""
        if self.system.unused and not has_other_bases(self.generate):
            raise ValueError(f'system.elements lists {self.system.unused}, which no composition contains')
        return self

    @model_validator(mode='after')
    def check_smallest_cell(self) -> Self:
        """Refuse what cannot be done in the smallest cell."""
        if self.system.prototype is None:
            return self
        n_sites = min(SITES_PER_CELL[self.system.prototype] * i * j * k for i, j, k in self.system.supercells)
        for name, strategy in self.generate.plan.items():
            if problem := strategy.problem_in(n_sites):
                raise ValueError(f'generate.{name}.{problem}')
        return self

    @model_validator(mode='after')
    def check_properties(self) -> Self:
        """Refuse properties of crystals that are not among the bases."""
        if self.properties is not None:
            chosen_crystals(*(section.model_dump() for section in (self.properties, self.system, self.generate)))
        return self

    @model_validator(mode='after')
    def check_labeller(self) -> Self:
        """Refuse elements that the labeller does not know."""
        if problem := self.label.problem_with(self.system.elements):
            raise ValueError(f'label.{problem}')
        return self

    def require_first_round(self) -> None:
        """Refuse to submit a run whose first round cannot label what comes first, where the number can be told beforehand.

        :raises InputError: it cannot.
        """
        found = least_first(self.system, self.generate, self.select.first)
        others = len(self.system.elements) + self.loop.all_test_labels + (1 if self.loop.buys_md_test else 0)
        budget = min(self.loop.initial_labels, self.loop.max_labels - others)
        if (needed := sum(found.values())) > budget:
            counts = ', '.join(f'{name} {count}' for name, count in found.items())
            raise InputError(
                f'loop.initial_labels: round 0 can label {budget} structures, but at least {needed} come first ({counts}): raise '
                f'initial_labels to at least {needed} (and max_labels to at least {needed + others}), ask for '
                'fewer of them in generate, or shorten select.first'
            )

    @classmethod
    def from_mapping(cls, values: Any) -> Self:
        """Return the configuration of a mapping.

        :raises InputError: one line for each mistake, naming field, value and what is allowed.
        """
        if not isinstance(values, dict):
            raise InputError(f'the configuration must be a mapping with the keys {", ".join(cls.model_fields)}; got {values!r}')
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(explain(error, cls)) from error

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Return the configuration of a YAML file.

        Paths of structures are relative to the folder of the file.

        :raises InputError: the file is missing, empty, not YAML, gives a key twice, or holds a mistake.
        """
        values = read_yaml(path)
        if values is None:
            raise InputError(f'{path}: the file is empty; it must hold at least the keys system and label')
        values = _with_model_path(_with_whole_paths(values, path.parent), path.parent)
        try:
            return cls.from_mapping(values)
        except InputError as error:
            raise InputError('\n'.join(f'{path}: {line}' for line in str(error).splitlines())) from error

    def to_mapping(self) -> dict[str, Any]:
        """Return the configuration as plain values that :meth:`from_mapping` reads."""
        return self.model_dump(mode='json')


def _with_whole_paths(values: Any, folder: Path) -> Any:
    """Return the values of a file, the paths of structures as seen from anywhere."""
    generate = values.get('generate') if isinstance(values, dict) else None
    files = generate.get('files') if isinstance(generate, dict) else None
    paths = files.get('paths') if isinstance(files, dict) else None
    if not isinstance(generate, dict) or not isinstance(files, dict) or not isinstance(paths, list):
        return values  # whatever is wrong is told when it is checked
    whole = [str((folder / text).resolve()) if isinstance(text, str) else text for text in paths]
    return {**values, 'generate': {**generate, 'files': {**files, 'paths': whole}}}


def _with_model_path(values: Any, folder: Path) -> Any:
    """Return the values with the full path of the model of the surrogate, where it is a file beside the configuration."""
    select = values.get('select') if isinstance(values, dict) else None
    if not isinstance(select, dict):
        return values
    model = select.get('model')
    if not isinstance(model, str) or not (folder / model).is_file():
        return values
    return {**values, 'select': {**select, 'model': str((folder / model).resolve())}}
