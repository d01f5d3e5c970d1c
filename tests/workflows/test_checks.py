from pathlib import Path

import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.generate import GenerateCalculation
from aiida_mlip_autopipe.calculations.spec import BandedWorkChainSpec, settings_validator
from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.label import JobOptions
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.selection import SurrogateConfig
from aiida_mlip_autopipe.engines.pod.trainer import PodTrainer
from aiida_mlip_autopipe.workflows import checks
from aiida_mlip_autopipe.workflows.checks import (
    add_options_port,
    check_engine,
    check_profile,
    check_surrogate_model,
    find_code,
    find_process,
    surrogate_model,
    validate_config,
    warnings_of,
)
from aiida_mlip_autopipe.workflows.train import TrainWorkChain

ESPRESSO = {'labeller': 'mlip_autopipe.label', 'code': 'mlip-worker@localhost', 'pseudo_family': 'nowhere', 'cutoff_wfc': 15}


def test_a_process_is_a_calculation_or_a_work_chain():
    assert find_process('mlip_autopipe.generate', 'any') is GenerateCalculation
    assert find_process('mlip_autopipe.train', 'any') is TrainWorkChain


def test_an_unknown_entry_point_names_the_field_and_the_value():
    with pytest.raises(InputError, match=r"^train\.trainer: got 'mine'; no such entry point in aiida\.calculations or aiida"):
        find_process('mine', 'train.trainer')


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
    check_profile(MLIPConfig.from_mapping(mapping()))


def test_everything_that_is_missing_is_told_at_once(mapping, worker_code):
    config = mapping(explore={'explorer': 'b'}, worker={'code': 'c@d'})
    config['label'] = {**ESPRESSO, 'code': 'e@f'}
    with pytest.raises(InputError) as error:
        check_profile(MLIPConfig.from_mapping(config))
    fields = [line.split(':')[0] for line in str(error.value).splitlines()]
    assert fields == ['worker.code', 'explore.explorer', 'label.code', 'label.pseudo_family']


def test_an_unknown_labeller_is_told(mapping, worker_code):
    config = mapping()
    config['label'] = {'labeller': 'third.party', 'code': 'mlip-worker@localhost'}
    with pytest.raises(InputError, match=r"^label\.labeller: got 'third\.party'"):
        check_profile(MLIPConfig.from_mapping(config))


def test_a_port_is_held_to_its_model():
    validate = settings_validator(PodTrainer)
    assert validate(None, None) is None
    assert validate(orm.Dict({'cutoff': 5.0}), None) is None
    assert validate(orm.Dict({'cutoff': 50.0}), None).startswith('cutoff: got 50.0;')
    assert len(validate(orm.Dict({'cutoff': 50.0, 'basis': 'XL'}), None).splitlines()) == 2


def test_options_are_held_to_their_model_and_have_defaults():
    spec = BandedWorkChainSpec()
    add_options_port(spec)
    port = spec.inputs['options']
    assert port.default().get_dict() == JobOptions().model_dump()
    assert port.validate(orm.Dict({'walltime': 10})) is None
    assert 'walltime: got 0;' in port.validate(orm.Dict({'walltime': 0})).message


def test_a_config_is_held_to_its_model_and_to_the_profile(mapping, worker_code):
    assert validate_config(None, None) is None
    assert validate_config(orm.Dict(mapping()), None) is None
    assert 'train.trainer' in validate_config(orm.Dict(mapping(train={'trainer': 'a'})), None)
    assert validate_config(orm.Dict({'name': 'x'}), None).splitlines() == [
        'system: missing; this key is required',
        'label: missing; this key is required',
    ]


@pytest.mark.parametrize('name', [None, 'medium-mpa-0', '/on/the/cluster/mine.model'])
def test_a_model_that_may_be_elsewhere_passes(name):
    check_surrogate_model(name)
    assert surrogate_model(SurrogateConfig(model=name)) is None


@pytest.mark.parametrize('name', ['mine.model', '../models/mine.pt'])
def test_a_model_file_that_is_missing_is_told(mapping, worker_code, name):
    said = rf'^select\.model: got {name!r}; there is no such file beside the configuration, and a path on the compute'
    with pytest.raises(InputError, match=said):
        check_profile(MLIPConfig.from_mapping(mapping(select={'model': name})))


def test_a_changed_model_is_another_node(tmp_path):
    path = tmp_path / 'a.model'
    path.write_bytes(b'first')
    first = surrogate_model(SurrogateConfig(model=str(path)))
    path.write_bytes(b'second')
    second = surrogate_model(SurrogateConfig(model=str(path)))
    path.write_bytes(b'first')
    assert surrogate_model(SurrogateConfig(model=str(path))).uuid == first.uuid != second.uuid


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

        monkeypatch.setattr(checks, 'ask_worker', ask('worker'))
        monkeypatch.setattr(checks, 'ask_lmp', ask('lmp'))
        return asked

    @pytest.fixture
    def lmp(self, localhost):
        return ensure_code('lmp-of-checks', localhost, Path('/bin/true'), 'mlip_autopipe.lammps_pace')

    def test_the_worker_is_asked(self, mapping, worker_code, answers):
        config = MLIPConfig.from_mapping(mapping(train=self.ACE))
        assert check_engine(config) == ('worker is unknown',)
        assert answers == [('worker', 'mlip-worker@localhost', 'worker.code')]
        assert 'worker is unknown' in warnings_of(config)

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
            check_profile(config)
        assert len(str(error.value).splitlines()) == 1

    def test_a_worker_that_cannot_is_refused(self, mapping, worker_code, monkeypatch):
        def refuse(code, field):
            raise InputError(f'{field}: it cannot')

        monkeypatch.setattr(checks, 'ask_worker', refuse)
        with pytest.raises(InputError, match=r'^worker\.code: it cannot$'):
            check_profile(MLIPConfig.from_mapping(mapping(train=self.ACE)))
