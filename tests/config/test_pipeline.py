"""`MLIPConfig`: rules between the sections, and reading it from YAML."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.ase.labeller import EMT_ELEMENTS, AseLabeller
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from tests.config.settings import DFT, VALID, config_with, mistakes_in

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / 'examples').glob('*/config.yaml'))
AL_MG = {
    'system.elements': ['Al', 'Mg'],
    'system.lattice_parameters': {'Al': 4.0, 'Mg': 4.4},
    'system.compositions': [{'Al': 0.5, 'Mg': 0.5}],
}
KEYS = 'name, seed, system, generate, select, label, converge, train, explore, properties, loop, worker'


def refused(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        MLIPConfig.from_yaml(path)
    return str(caught.value).splitlines()


class TestBudget:
    def test_isolated_atoms_alone_use_it_up(self) -> None:
        (line,) = mistakes_in({'loop.max_labels': 2, 'loop.test_labels': 3, 'loop.test_md_labels': 0})
        assert line.startswith('loop.max_labels: got 2; must be at least 7: 2 isolated atoms, 3 test frames')

    def test_a_test_set_larger_than_the_labels(self) -> None:
        assert mistakes_in({'loop.max_labels': 39}) == [
            'loop.max_labels: got 39; must be at least 40: 2 isolated atoms, 36 test frames (test_labels 24, test_md_labels 12) '
            'and 2 training frames'
        ]

    def test_smallest(self) -> None:
        assert config_with({'loop.max_labels': 40}).loop.max_labels == 40

    def test_a_single_round_has_no_md_part(self) -> None:
        assert config_with({'loop.max_labels': 28, 'loop.max_rounds': 1}).loop.max_labels == 28


class TestTestSet:
    def test_a_frame_for_each_composition(self) -> None:
        assert mistakes_in({'loop.test_labels': 2}) == ['loop.test_labels: got 2; must be at least 3, one for each composition']
        assert config_with({'loop.test_labels': 3}).loop.test_labels == 3

    def test_a_frame_for_each_temperature(self) -> None:
        ladder = {'explore.temperatures': [300, 600, 900]}
        assert mistakes_in({**ladder, 'loop.test_md_labels': 2}) == [
            'loop.test_md_labels: got 2; must be 0 or at least 3, one for each of explore.temperatures'
        ]
        for count in (0, 3):
            assert config_with({**ladder, 'loop.test_md_labels': count}).loop.test_md_labels == count

    def test_a_single_base_structure_is_enough(self) -> None:
        """Test frames of an element are draws of their own: it needs no second crystal."""
        pure = {'system.elements': ['Cu'], 'system.lattice_parameters': {'Cu': 3.6}, 'system.compositions': [{'Cu': 1.0}]}
        assert config_with(pure).system.elements == ['Cu']

    def test_samples_need_an_explorer_that_takes_them(self) -> None:
        changes = {'train.trainer': 'mlip_autopipe.ace', 'explore.explorer': 'mlip_autopipe.lammps_pace', 'explore.samples': 3}
        (line,) = mistakes_in(changes)
        assert line.startswith('explore.samples: unknown key; ')
        assert config_with({'explore.samples': 3}).explore.samples == 3


class TestExplorer:
    """The explorer follows the trainer, unless another one is chosen."""

    @pytest.mark.parametrize(
        ('changes', 'explorer'),
        [
            ({}, 'mlip_autopipe.lammps_md'),
            ({'train.trainer': 'mlip_autopipe.pod', 'explore.steps': 50}, 'mlip_autopipe.lammps_md'),
            ({'train.trainer': 'mlip_autopipe.ace'}, 'mlip_autopipe.lammps_md'),
            ({'train.trainer': 'mlip_autopipe.pacemaker'}, 'mlip_autopipe.lammps_md'),
            *(
                (
                    {'train.trainer': f'mlip_autopipe.{trainer}', 'explore.explorer': f'mlip_autopipe.{chosen}'},
                    f'mlip_autopipe.{chosen}',
                )
                for trainer in ('ace', 'pacemaker')
                for chosen in ('lammps_md', 'lammps_pace')
            ),
        ],
    )
    def test_default(self, changes: dict[str, object], explorer: str) -> None:
        config = config_with(changes)
        assert config.explore.explorer == explorer
        assert MLIPConfig.from_mapping(config.to_mapping()) == config

    def test_one_that_cannot_run_the_potentials(self) -> None:
        changes = {'train.trainer': 'mlip_autopipe.pod', 'explore.explorer': 'mlip_autopipe.lammps_pace'}
        assert mistakes_in(changes) == [
            "explore.explorer: got 'mlip_autopipe.lammps_pace'; it cannot run the potentials of mlip_autopipe.pod: "
            'take mlip_autopipe.lammps_md, or leave it out'
        ]


class TestCalculator:
    def test_emt_with_an_element_it_does_not_know(self) -> None:
        assert mistakes_in(AL_MG) == [
            "label.calculator: emt does not know ['Mg']; it knows ['Ag', 'Al', 'Au', 'C', 'Cu', 'H', 'N', 'Ni', 'O', 'Pd', 'Pt']"
        ]

    def test_other_calculators_and_labellers_know_it(self) -> None:
        assert config_with({**AL_MG, 'label.calculator': 'lj'}).label.calculator == 'lj'
        assert config_with({**AL_MG, 'label': DFT}).system.elements == ['Al', 'Mg']

    def test_list_of_elements_is_that_of_ase(self) -> None:
        from ase.calculators import emt  # noqa: PLC0415  # only this test needs it

        assert set(emt.parameters) == EMT_ELEMENTS


class TestMapping:
    @pytest.mark.parametrize('value', [[1], 3, None, 'text'])
    def test_no_mapping(self, value: object) -> None:
        with pytest.raises(InputError) as caught:
            MLIPConfig.from_mapping(value)
        assert str(caught.value) == f'the configuration must be a mapping with the keys {KEYS}; got {value!r}'

    @pytest.mark.parametrize('label', [DFT, VALID['label']])
    def test_round_trip(self, label: dict[str, object]) -> None:
        config = config_with({'label': label, 'train.ridge': 1e-6, 'explore.pressure': None})
        mapping = config.to_mapping()
        assert MLIPConfig.from_mapping(mapping) == config
        assert MLIPConfig.from_mapping(json.loads(json.dumps(mapping))).to_mapping() == mapping

    def test_mapping_holds_every_default(self) -> None:
        mapping = MLIPConfig.from_mapping(VALID).to_mapping()
        assert list(mapping) == KEYS.split(', ')
        assert mapping['explore']['gamma_halt'] == 10.0
        assert mapping['worker'] == {'code': 'mlip-worker@localhost', 'options': mapping['label']['options']}

    @pytest.mark.parametrize('seed', [-1, 2**31, 'a', 1.5])
    def test_seed(self, seed: object) -> None:
        (line,) = mistakes_in({'seed': seed})
        assert line.startswith(f'seed: got {seed!r}; ')

    def test_name(self) -> None:
        (line,) = mistakes_in({'name': ''})
        assert line.startswith("name: got ''; string should have at least 1 character")

    def test_worker(self) -> None:
        (line,) = mistakes_in({'worker.options': {'walltime': -1}})
        assert line.startswith('worker.options.walltime: got -1; input should be greater than 0 (s, longest run time')


class TestYaml:
    def test_same_as_mapping(self, tmp_path: Path) -> None:
        path = tmp_path / 'config.yaml'
        path.write_text(yaml.safe_dump(VALID), encoding='utf-8')
        assert MLIPConfig.from_yaml(path) == MLIPConfig.from_mapping(VALID)

    def test_a_model_beside_the_file_gets_its_full_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / 'models').mkdir()
        (tmp_path / 'models' / 'mine.model').write_bytes(b'any')
        monkeypatch.chdir(tmp_path / 'models')
        for name, model in (('a', 'models/mine.model'), ('b', 'small'), ('c', '/on/the/cluster/mine.model')):
            (tmp_path / f'{name}.yaml').write_text(yaml.safe_dump({**VALID, 'select': {'model': model}}))
        found = [MLIPConfig.from_yaml(tmp_path / f'{name}.yaml').select.model for name in 'abc']
        assert found == [str(tmp_path / 'models' / 'mine.model'), 'small', '/on/the/cluster/mine.model']

    @pytest.mark.parametrize('text', ['', '# nothing\n'])
    def test_empty(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / 'config.yaml'
        path.write_text(text)
        assert refused(path) == [f'{path}: the file is empty; it must hold at least the keys system and label']

    def test_list(self, tmp_path: Path) -> None:
        path = tmp_path / 'config.yaml'
        path.write_text('- a\n- b\n')
        assert refused(path) == [f"{path}: the configuration must be a mapping with the keys {KEYS}; got ['a', 'b']"]

    def test_broken(self, tmp_path: Path) -> None:
        path = tmp_path / 'config.yaml'
        path.write_text('system: [1\nlabel: 3\n')
        (line,) = refused(path)
        assert line.startswith(f'{path}: not valid YAML: while parsing a flow sequence')

    def test_missing_file(self, tmp_path: Path) -> None:
        path = tmp_path / 'nowhere.yaml'
        assert refused(path) == [f"{path}: cannot be read: [Errno 2] No such file or directory: '{path}'"]

    def test_directory(self, tmp_path: Path) -> None:
        assert refused(tmp_path) == [f"{tmp_path}: cannot be read: [Errno 21] Is a directory: '{tmp_path}'"]

    def test_key_given_twice(self, tmp_path: Path) -> None:
        path = tmp_path / 'config.yaml'
        path.write_text(yaml.safe_dump(VALID) + 'seed: 1\nseed: 2\n')
        n_lines = len(path.read_text().splitlines())
        assert refused(path) == [f"{path}: line {n_lines}: the key 'seed' is given twice, first in line {n_lines - 1}"]

    def test_every_line_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / 'config.yaml'
        path.write_text(yaml.safe_dump({**VALID, 'seed': -1, 'explore': {'steps': 0}}))
        assert [line.split(';')[0] for line in refused(path)] == [f'{path}: seed: got -1', f'{path}: explore.steps: got 0']


class TestExamples:
    def test_there_are_examples(self) -> None:
        assert {path.parent.name for path in EXAMPLES} >= {'almg', 'cuau'}

    @pytest.mark.parametrize('path', EXAMPLES, ids=[path.parent.name for path in EXAMPLES])
    def test_valid(self, path: Path) -> None:
        config = MLIPConfig.from_yaml(path)
        assert config.name == path.parent.name
        assert MLIPConfig.from_mapping(config.to_mapping()) == config

    def test_labellers_of_the_examples(self) -> None:
        kinds = {path.parent.name: type(MLIPConfig.from_yaml(path).label) for path in EXAMPLES}
        assert kinds['almg'] is DFTConfig
        assert kinds['cuau'] is AseLabeller


def test_yes_is_no_number():
    assert mistakes_in({'seed': True}) == [
        'seed: got True; a number or a text is wanted here, not a yes or no (seed of everything that is random)'
    ]


def test_more_vacancies_than_atoms_are_refused():
    assert mistakes_in({'generate': {'vacancy': {'count': 1, 'n_vacancies': 8}}}) == [
        'generate.vacancy.n_vacancies: got 8; must be less than 8, the atoms of the smallest cell'
    ]


class TestFirstRound:
    """What is asked for one by one is labelled first, or refused before anything is submitted."""

    def refused(self, changes: dict[str, Any]) -> str:
        with pytest.raises(InputError) as caught:
            config_with(changes).require_first_round()
        return str(caught.value)

    def test_fewer_labels_than_undistorted_crystals(self) -> None:
        assert self.refused({'loop.initial_labels': 2}) == (
            'loop.initial_labels: round 0 can label 2 structures, but at least 3 come first (sqs 3): raise initial_labels to at '
            'least 3 (and max_labels to at least 42), ask for fewer of them in generate, or shorten select.first'
        )

    def test_isolated_atoms_are_bought_before(self) -> None:
        """Two atoms, 24 and 12 test frames, and a label for training in the round that buys the latter."""
        assert 'round 0 can label 2 structures' in self.refused({'loop.max_labels': 41})
        config_with({'loop.max_labels': 42}).require_first_round()

    def test_series_of_every_base(self) -> None:
        """Three bases, eleven volumes each, of which one may be the base."""
        said = self.refused({'generate.eos': {'count': 11}, 'loop.initial_labels': 32})
        assert 'at least 33 come first (sqs 3, eos 30)' in said
        config_with({'generate.eos': {'count': 11}, 'loop.initial_labels': 33}).require_first_round()

    def test_what_does_not_come_first_does_not_count(self) -> None:
        config_with({'select.first': [], 'loop.initial_labels': 2}).require_first_round()
        config_with({'select.first': ['ordered'], 'loop.initial_labels': 2}).require_first_round()

    def test_a_configuration_that_only_generates_stays_valid(self) -> None:
        assert config_with({'generate.eos': {'count': 50}}).generate.eos is not None


class TestQuotas:
    """A quota for what no candidate can be is a mistake, not a wish."""

    def test_misspelt_config_type(self) -> None:
        assert mistakes_in({'select.quotas': {'config_type': {'sqss': 0.5, 'sqs': 0.1}}}) == [
            "select.quotas.config_type: got ['sqss']; candidates of this configuration are "
            "['md', 'md_failure', 'rattle', 'sqs', 'strain', 'surrogate_md', 'surrogate_relax', 'vacancy']"
        ]

    def test_a_section_that_makes_nothing(self) -> None:
        (line,) = mistakes_in({'generate.vacancy': {'count': 0}, 'select.quotas': {'config_type': {'vacancy': 0.5}}})
        assert "got ['vacancy']" in line

    def test_a_composition_of_no_alloy(self) -> None:
        (line,) = mistakes_in({'generate.vacancy': {'count': 0}, 'select.quotas': {'composition': {'AuCu3': 0.5}}})
        assert line == "select.quotas.composition: got 'AuCu3'; candidates of this configuration are ['Au', 'AuCu', 'Cu']"

    @pytest.mark.parametrize(
        ('name', 'said'),
        [
            ('CuAu', 'write it as AuCu'),
            ('Au2Cu2', 'write it as AuCu'),
            ('AuAg', "with ['Ag']; the elements are ['Au', 'Cu']"),
            ('copper', 'must be a reduced formula such as Al3Mg'),
        ],
    )
    def test_a_formula_that_is_never_written_so(self, name: str, said: str) -> None:
        (line,) = mistakes_in({'generate.antisite': {}, 'select.quotas': {'composition': {name: 0.5}}})
        assert said in line

    def test_structures_from_elsewhere_may_be_of_any_kind(self) -> None:
        values = {'generate.files': {'paths': ['a.cif']}, 'select.quotas': {'config_type': {'kind': 0.5}}}
        assert config_with(values).select.quotas.config_type == {'kind': 0.5}

    def test_vacancies_have_compositions_of_their_own(self) -> None:
        """Of Cu4Au4 one atom is missing."""
        quotas = {'composition': {'Au3Cu4': 0.2, 'Au4Cu3': 0.2}}
        assert config_with({'select.quotas': quotas}).select.quotas.composition == quotas['composition']
