import pytest
from aiida import orm
from aiida.plugins import CalculationFactory, WorkflowFactory
from plumpy.ports import PortNamespace

from aiida_mlip_autopipe.calculations.spec import (
    BandedCalcJobSpec,
    BandedWorkChainSpec,
    add_labeller_port,
    add_options_port,
    job_options,
    plugin_validator,
    settings_validator,
)
from aiida_mlip_autopipe.common.job_options import JobOptions
from aiida_mlip_autopipe.engines.pod.trainer import PodTrainer
from aiida_mlip_autopipe.science.trainer import Trainer

OPTIONS = {'num_machines': 1, 'mpi_processes': 1, 'walltime': 60, 'queue': None, 'account': None}
CALCULATIONS = (
    'generate',
    'select',
    'label_ase',
    'label_pw',
    'pod',
    'ace',
    'pacemaker',
    'check',
    'lammps_md',
    'lammps_pace',
    'evaluate',
)
NOT_OF_THE_INPUTS = {
    'ERROR_INSTALLATION',
    'ERROR_OUT_OF_MEMORY',
    'ERROR_RUN_FAILED',
    'ERROR_NO_GPU',
    'ERROR_DOWNLOAD_FAILED',
}
"""Failures above 400 that the same inputs need not meet again."""

CHAINS = ('label', 'converge', 'train', 'explore', 'one_shot', 'active_learning')


@pytest.mark.parametrize('spec_class', [BandedCalcJobSpec, BandedWorkChainSpec])
def test_a_status_with_two_labels_is_refused(spec_class):
    spec = spec_class()
    spec.exit_code(410, 'ERROR_ONE', message='one')
    spec.exit_code(410, 'ERROR_ONE', message='the same again, as a subclass may word it')
    with pytest.raises(ValueError, match='exit status 410 already has a label'):
        spec.exit_code(410, 'ERROR_TWO', message='two')


@pytest.mark.parametrize(
    ('status', 'invalidates'), [(201, True), (310, True), (399, True), (400, False), (410, False), (510, False)]
)
def test_below_400_is_never_cached(status, invalidates):
    spec = BandedCalcJobSpec()
    spec.exit_code(status, 'ERROR_ANY', message='any')
    assert spec.exit_codes.ERROR_ANY.invalidates_cache is invalidates


def test_the_rule_can_be_overruled():
    spec = BandedWorkChainSpec()
    spec.exit_code(410, 'ERROR_ANY', message='any', invalidates_cache=True)
    assert spec.exit_codes.ERROR_ANY.invalidates_cache


def test_options_of_one_process_run_without_mpi():
    assert job_options(OPTIONS) == {
        'resources': {'num_machines': 1, 'num_mpiprocs_per_machine': 1},
        'max_wallclock_seconds': 60,
        'withmpi': False,
    }


def test_options_of_several_processes_run_with_mpi_queue_and_account():
    options = job_options({**OPTIONS, 'num_machines': 2, 'mpi_processes': 8, 'queue': 'short', 'account': 'me'})
    assert options['resources'] == {'num_machines': 2, 'num_mpiprocs_per_machine': 8}
    assert (options['withmpi'], options['queue_name'], options['account']) == (True, 'short', 'me')


def processes():
    yield from ((name, CalculationFactory(f'mlip_autopipe.{name}')) for name in CALCULATIONS)
    yield from ((name, WorkflowFactory(f'mlip_autopipe.{name}')) for name in CHAINS)


@pytest.mark.parametrize(('name', 'process'), list(processes()))
def test_every_port_is_described_and_every_exit_code_is_in_its_band(name, process):
    spec = process.spec()
    ports = {**spec.inputs, **spec.outputs}
    own = [port for port in ports if port not in ('metadata', 'code', 'remote_folder', 'remote_stash', 'retrieved', 'monitors')]
    assert own
    for port in own:
        assert ports[port].help, f'{name}.{port} has no help'
        is_plain_namespace = isinstance(ports[port], PortNamespace) and not ports[port].dynamic
        assert is_plain_namespace or ports[port].valid_type, f'{name}.{port} has no valid_type'
    for label, code in spec.exit_codes.items():
        if label.startswith('ERROR_') and 200 <= code.status < 600:
            assert code.invalidates_cache is (code.status < 400 or label in NOT_OF_THE_INPUTS), f'{name}: {label}'


@pytest.mark.parametrize('name', CALCULATIONS)
def test_no_job_sees_the_packages_of_the_daemon(name):
    """AiiDA's daemon exports its `sys.path` as `PYTHONPATH`; prepend texts, which come later, may set another one."""
    options = CalculationFactory(f'mlip_autopipe.{name}').spec().inputs['metadata']['options']
    assert options['environment_variables'].default() == {'PYTHONPATH': ''}


def test_a_port_is_held_to_its_model():
    validate = settings_validator(PodTrainer)
    assert validate(None, None) is None
    assert validate(orm.Dict({'cutoff': 5.0}), None) is None
    assert validate(orm.Dict({'cutoff': 50.0}), None).startswith('cutoff: got 50.0;')
    assert len(validate(orm.Dict({'cutoff': 50.0, 'basis': 'XL'}), None).splitlines()) == 2


def test_a_port_is_held_to_the_plug_in_that_it_names():
    validate = plugin_validator(Trainer)
    assert validate(None, None) is None
    assert validate(orm.Dict({'trainer': 'mlip_autopipe.ace', 'functions': 100}), None) is None
    assert validate(orm.Dict({'trainer': 'mlip_autopipe.pod', 'functions': 100}), None).startswith('train.functions: unknown key')
    assert validate(orm.Dict({'trainer': 'x'}), None).startswith("train.trainer: got 'x'; registered here: ")


def test_options_are_held_to_their_model_and_have_defaults():
    spec = BandedWorkChainSpec()
    add_options_port(spec)
    port = spec.inputs['options']
    assert port.default().get_dict() == JobOptions().model_dump()
    assert port.validate(orm.Dict({'walltime': 10})) is None
    assert 'walltime: got 0;' in port.validate(orm.Dict({'walltime': 0})).message


def test_a_labeller_may_have_nodes_of_any_kind_and_depth():
    spec = BandedWorkChainSpec()
    add_labeller_port(spec)
    port = spec.inputs['label']
    assert port.validate({}) is None
    assert port.validate({'facts': orm.Dict({}), 'pseudos': {'Al': orm.Str('a')}}) is None
    assert port.validate({'facts': 3}) is not None
