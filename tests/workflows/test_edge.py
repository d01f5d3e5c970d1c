from pathlib import Path

import pytest
from aiida import orm
from ase.build import bulk

from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.workflows import edge
from aiida_mlip_autopipe.workflows.edge import check_engine, find_code, run_inputs, surrogate_model, warnings_of

ESPRESSO = {'labeller': 'mlip_autopipe.label', 'code': 'mlip-worker@localhost', 'pseudo_family': 'nowhere', 'cutoff_wfc': 15}


def test_a_code_is_found_by_its_label(worker_code):
    assert find_code('mlip-worker@localhost', 'worker.code').pk == worker_code.pk


def test_an_unknown_code_names_the_field_and_the_value(worker_code):
    with pytest.raises(InputError, match=r"^label\.code: got 'pw@mars'; no such code in this profile \(verdi code list\)"):
        find_code('pw@mars', 'label.code')


def test_two_codes_of_one_label_are_told(localhost, worker_code):
    for _ in range(2):
        orm.InstalledCode(label='twice', computer=localhost, filepath_executable='/bin/true').store()
    with pytest.raises(InputError, match=r"worker\.code: got 'twice@localhost'"):
        find_code('twice@localhost', 'worker.code')


def test_a_good_profile_passes(mapping, worker_code):
    run_inputs(MLIPConfig.from_mapping(mapping()))


def test_everything_that_is_missing_is_told_at_once(mapping, worker_code):
    config = mapping(explore={'code': 'a@b'}, worker={'code': 'c@d'})
    config['label'] = {**ESPRESSO, 'code': 'e@f'}
    with pytest.raises(InputError) as error:
        run_inputs(MLIPConfig.from_mapping(config))
    fields = [line.split(':')[0] for line in str(error.value).splitlines()]
    assert fields == ['label.pseudo_family', 'worker.code', 'explore.code', 'label.code']


def test_what_is_named_becomes_nodes(mapping, worker_code, tmp_path):
    model, crystal = tmp_path / 'mine.model', tmp_path / 'crystal.cif'
    model.write_bytes(b'weights')
    bulk('Cu').write(crystal)
    config = mapping(select={'model': str(model)}, generate={'files': {'paths': [str(crystal)]}})
    inputs = run_inputs(MLIPConfig.from_mapping(config))
    assert {name: code.pk for name, code in inputs['codes'].items()} == dict.fromkeys(
        ('worker', 'label', 'train', 'explore'), worker_code.pk
    )
    assert inputs['select']['model'].get_content(mode='rb') == b'weights'
    ((_, base),) = inputs['generate']['bases'].items()
    assert base.get_content() == crystal.read_text()
    assert not inputs['select']['model'].is_stored
    assert inputs['label'] == {}


def test_what_pw_needs_becomes_nodes(mapping, worker_code, lda_family):
    config = mapping(system={'elements': ['Al'], 'prototype': 'fcc', 'compositions': [{'Al': 1.0}], 'lattice_parameters': {}})
    config['label'] = {**ESPRESSO, 'pseudo_family': lda_family.label}
    named = run_inputs(MLIPConfig.from_mapping(config))['label']
    assert {element: pseudo.pk for element, pseudo in named['pseudos'].items()} == {
        element: pseudo.pk for element, pseudo in lda_family.pseudos.items()
    }
    assert named['facts']['Al']['z_valence'] == 3.0


@pytest.mark.parametrize('name', [None, 'medium-mpa-0', '/on/the/cluster/mine.model'])
def test_a_model_that_may_be_elsewhere_passes(name):
    assert surrogate_model(SelectionConfig(model=name)) is None


@pytest.mark.parametrize('name', ['mine.model', '../models/mine.pt'])
def test_a_model_file_that_is_missing_is_told(mapping, worker_code, name):
    said = rf'^select\.model: got {name!r}; there is no such file beside the configuration, and a path on the compute'
    with pytest.raises(InputError, match=said):
        run_inputs(MLIPConfig.from_mapping(mapping(select={'model': name})))


def test_a_changed_model_is_another_node(tmp_path):
    path = tmp_path / 'a.model'
    path.write_bytes(b'first')
    first = surrogate_model(SelectionConfig(model=str(path))).store()
    path.write_bytes(b'second')
    second = surrogate_model(SelectionConfig(model=str(path))).store()
    path.write_bytes(b'first')
    assert surrogate_model(SelectionConfig(model=str(path))).uuid == first.uuid != second.uuid


class TestEngine:
    """The trainers of ACE: a worker or an `lmp` that cannot run their potentials is refused before the fit."""

    ACE = {'trainer': 'mlip_autopipe.pacemaker', 'code': 'mlip-worker@localhost'}

    @pytest.fixture
    def answers(self, monkeypatch):
        """What the programs are asked, and the sentence that each answers with."""
        asked = []

        def ask(kind):
            def answer(code, field):
                asked.append((kind, code.full_label, field))
                return (f'{kind} is unknown',)

            return answer

        monkeypatch.setattr(edge, 'ask_worker', ask('worker'))
        monkeypatch.setattr(edge, 'ask_lmp', ask('lmp'))
        return asked

    @pytest.fixture
    def lmp(self, localhost):
        return ensure_code('lmp-of-checks', localhost, Path('/bin/true'), 'mlip_autopipe.lammps_pace')

    def test_the_worker_is_asked(self, mapping, worker_code, answers):
        config = MLIPConfig.from_mapping(mapping(train=self.ACE))
        assert check_engine(config) == ('worker is unknown',)
        assert answers == [('worker', 'mlip-worker@localhost', 'worker.code')]
        assert 'worker is unknown' in warnings_of(config, run_inputs(config))

    def test_an_lmp_of_its_own_is_asked_too(self, mapping, worker_code, answers, lmp):
        explore = {'explorer': 'mlip_autopipe.lammps_pace', 'code': lmp.full_label}
        config = MLIPConfig.from_mapping(mapping(train=self.ACE, explore=explore))
        assert check_engine(config) == ('worker is unknown', 'lmp is unknown')
        assert answers[1] == ('lmp', lmp.full_label, 'explore.code')
        assert check_engine(config, explores=False) == ('worker is unknown',)

    def test_another_worker_is_asked_too(self, mapping, worker_code, answers, localhost):
        ensure_code('second-worker', localhost, Path('/bin/true'), None)
        config = MLIPConfig.from_mapping(mapping(train=self.ACE, explore={'code': 'second-worker@localhost'}))
        check_engine(config)
        assert answers[1] == ('worker', 'second-worker@localhost', 'explore.code')

    def test_nobody_is_asked_about_pod(self, mapping, worker_code, answers):
        assert check_engine(MLIPConfig.from_mapping(mapping())) == ()
        assert answers == []

    def test_the_code_of_lmp_does_not_run_mlip_worker(self, mapping, worker_code, answers, lmp):
        config = MLIPConfig.from_mapping(mapping(train=self.ACE, explore={'code': lmp.full_label}))
        said = (
            r"^explore\.code: got 'lmp-of-checks@localhost', the program of mlip_autopipe\.lammps_pace, but mlip_auto.*lammps_md"
        )
        with pytest.raises(InputError, match=said) as error:
            run_inputs(config)
        assert len(str(error.value).splitlines()) == 1

    def test_a_worker_that_cannot_is_refused(self, mapping, worker_code, monkeypatch):
        def refuse(code, field):
            raise InputError(f'{field}: it cannot')

        monkeypatch.setattr(edge, 'ask_worker', refuse)
        with pytest.raises(InputError, match=r'^worker\.code: it cannot$'):
            run_inputs(MLIPConfig.from_mapping(mapping(train=self.ACE)))
