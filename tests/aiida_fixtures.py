"""A temporary AiiDA profile with a ZeroMQ broker, what the tests need in it, and stand-ins for finished processes."""

import contextlib
import shutil
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from aiida import orm
from aiida.common.folders import SandboxFolder
from aiida.common.links import LinkType
from aiida.engine import ExitCode, ProcessBuilder, ProcessState, run_get_node
from aiida.engine.utils import instantiate_process
from aiida.manage import get_manager
from aiida.plugins import CalculationFactory, ParserFactory
from aiida.tools.pytest_fixtures import (
    aiida_config_factory,
    aiida_manager,
    aiida_profile_factory,
    daemon_client,
    entry_points,
    run_aiida_broker_service_for_profile,
    started_daemon_client,
    stopped_daemon_client,
    submit_and_await,
)
from click.testing import CliRunner
from plumpy.workchains import _PropagateReturn

from aiida_mlip_autopipe.cli.root import main
from aiida_mlip_autopipe.cli.setup import ensure_code, ensure_computer, ensure_family
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames, uid_of
from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats.files import POTENTIAL_RECORD
from aiida_mlip_autopipe.remote import worker
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms
from aiida_mlip_autopipe.workflows.edge import run_inputs
from aiida_mlip_autopipe.workflows.pseudos import theory_inputs
from aiida_mlip_autopipe.workflows.stages import StagesWorkChain
from tests import pod_data
from tests.conftest import AIIDA_FOLDERS

__all__ = [
    'aiida_config_factory',
    'aiida_manager',
    'aiida_profile_factory',
    'daemon_client',
    'entry_points',
    'run_aiida_broker_service_for_profile',
    'started_daemon_client',
    'stopped_daemon_client',
    'submit_and_await',
]

OPTIONS = {'daemon.timeout': 60, 'runner.poll.interval': 1, 'transport.task_retry_initial_interval': 1}
POLL_SECONDS = 0.2
MEMORY = Path('/dev/shm')
MEMORY_NEEDED = 2**31
"""Bytes that must be free there."""
PSEUDO_FOLDER = Path('/usr/share/espresso/pseudo')
PSEUDOS = ('Al.pz-vbc.UPF', 'Mg.pz-n-vbc.UPF')
PW = Path('/usr/bin/pw.x')
FINGERPRINT = 'emt'


@pytest.fixture(scope='session')
def aiida_config(tmp_path_factory, aiida_config_factory):
    """In memory where there is room: AiiDA waits for the disk at each of its many small writes."""
    with contextlib.ExitStack() as stack:
        if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_NEEDED:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix='pytest-aiida-', dir=MEMORY)))
        else:
            folder = tmp_path_factory.mktemp('aiida')
        yield stack.enter_context(aiida_config_factory(folder))


@pytest.fixture(scope='session')
def aiida_profile(aiida_config, aiida_profile_factory, run_aiida_broker_service_for_profile):
    """The profile of the whole session; tests never empty it, they count what they add."""
    with aiida_profile_factory(aiida_config, broker_backend='core.zeromq') as profile:
        for name, value in OPTIONS.items():
            aiida_config.set_option(name, value, scope=profile.name)
        aiida_config.store()
        with run_aiida_broker_service_for_profile(profile):
            yield profile


@pytest.fixture(autouse=True)
def _profile_where_nodes_are_made(request):
    if request.path.parent.name in AIIDA_FOLDERS:
        request.getfixturevalue('aiida_profile')


@pytest.fixture(scope='session')
def localhost(aiida_profile, tmp_path_factory):
    return ensure_computer('localhost', tmp_path_factory.mktemp('work'), poll_seconds=POLL_SECONDS)


@pytest.fixture(scope='session')
def worker_code(localhost):
    return ensure_code('mlip-worker', localhost, Path(sys.executable).parent / 'mlip-worker', None)


@pytest.fixture(scope='session')
def pw_code(localhost):
    if not PW.exists():
        pytest.skip(f'{PW} is not installed (apt-get install quantum-espresso)')
    return ensure_code('pw', localhost, PW, 'quantumespresso.pw')


@pytest.fixture(scope='session')
def lda_family(aiida_profile):
    if not PSEUDO_FOLDER.is_dir():
        pytest.skip(f'{PSEUDO_FOLDER} is missing (apt-get install quantum-espresso-data)')
    return ensure_family('mlip-demo-lda', [PSEUDO_FOLDER / name for name in PSEUDOS])


@pytest.fixture
def run_cli(aiida_profile):
    """Return a function that runs `mlip-auto` in this process; an exception that is no message to the user fails the test."""

    def run(*arguments: Any) -> Any:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            pytest.fail(''.join(traceback.format_exception(*result.exc_info)))
        return result

    return run


@pytest.fixture(scope='session')
def emt_frames():
    """Return a factory of Cu-Au frames labelled by EMT; every `per_lineage` frames share a lineage."""

    def make(n_frames: int = 8, *, seed: int = 0, per_lineage: int = 2, labelled: bool = True, **info: Any) -> Frames:
        rng = np.random.default_rng(seed)
        structures = []
        for index in range(n_frames):
            atoms = pod_data.alloy(rng, (index % 5) / 4)
            atoms = pod_data.labelled(atoms) if labelled else atoms
            uid = uid_of(atoms)
            root = structures[-1].info['lineage'] if index % per_lineage else uid
            fingerprint = {'fingerprint': FINGERPRINT} if labelled else {}
            atoms.info = {'uid': uid, 'lineage': root, 'config_type': 'rattle', **fingerprint, **info}
            structures.append(atoms)
        return Frames.from_atoms(structures)

    return make


@pytest.fixture(scope='session')
def references():
    """Isolated Cu and Au with EMT's energies."""
    structures = []
    for atoms in isolated_atoms(['Cu', 'Au'], 12.0):
        info = {**atoms.info, 'fingerprint': FINGERPRINT}
        labelled = pod_data.labelled(atoms)
        labelled.info = {**info, 'config_type': ISOLATED_ATOM}
        structures.append(labelled)
    return Frames.from_atoms(structures)


@pytest.fixture(scope='session')
def mapping():
    """Return a factory of the mapping of a small Cu-Au run; a keyword updates the section of its name."""

    def make(**sections: Any) -> dict[str, Any]:
        base: dict[str, Any] = {
            'name': 'test',
            'seed': 7,
            'system': {
                'elements': ['Cu', 'Au'],
                'prototype': 'fcc',
                'lattice_parameters': {'Cu': 3.59, 'Au': 4.06},
                'compositions': [{'Cu': 1.0}, {'Cu': 0.5, 'Au': 0.5}, {'Au': 1.0}],
                'supercells': [[2, 2, 2]],
            },
            'generate': {
                'sqs': {'per_composition': 2, 'steps': 50, 'cutoffs': [4.0]},
                'strain': {'count': 3, 'max_strain': 0.04, 'hydrostatic': [-0.04, 0.04]},
                'rattle': {'count': 4, 'stdev': 0.12},
                'vacancy': {'count': 1},
            },
            'label': {'labeller': 'mlip_autopipe.label_ase', 'calculator': 'emt'},
            'train': {'cutoff': 4.5, 'basis': 'S'},
            'explore': {'starts': 2, 'temperatures': [300], 'steps': 200},
            'loop': {
                'max_rounds': 2,
                'max_labels': 60,
                'initial_labels': 24,
                'labels_per_round': 8,
                'test_labels': 10,
                'test_md_labels': 2,
            },
        }
        if 'trainer' in sections.get('train', {}):
            del base['train']['basis']
        for name, values in sections.items():
            base[name] = {**base.get(name, {}), **values} if isinstance(values, dict) else values
        return base

    return make


@pytest.fixture
def config_file(mapping, tmp_path):
    """Return a factory of YAML files of the small run."""

    def make(**sections: Any) -> Path:
        path = tmp_path / 'config.yaml'
        path.write_text(yaml.safe_dump(mapping(**sections)), encoding='utf-8')
        return path

    return make


@pytest.fixture(scope='session')
def full_config(mapping):
    """Return a factory of the complete configuration, as a run has it as input."""
    return lambda **sections: MLIPConfig.from_mapping(mapping(**sections)).to_mapping()


@pytest.fixture(scope='session')
def potential_folder(tmp_path_factory):
    """Return a factory of folders as a trainer leaves them, without a fit."""

    def make(**fields: Any) -> Path:
        record: dict[str, Any] = {
            'engine': 'pod',
            'elements': ('Cu', 'Au'),
            'cutoff': 4.5,
            'pair_lines': ('pair_style pod', 'pair_coeff * * param.pod model.pod Cu Au'),
            'grade_lines': ('compute grade all pod/atom param.pod model.pod Cu Au',),
            'reference_energies': {'Cu': 3.5, 'Au': 3.8},
            'fingerprint': FINGERPRINT,
            'active_set': 'active_set.npz',
        }
        folder = tmp_path_factory.mktemp('potential')
        (folder / POTENTIAL_RECORD).write_text(PotentialRecord(**{**record, **fields}).to_json(), encoding='utf-8')
        for name in ('param.pod', 'model.pod', 'active_set.npz'):
            (folder / name).write_bytes(name.encode())
        return folder

    return make


@pytest.fixture
def fake_potential(potential_folder):
    return PotentialData.from_folder(potential_folder()).store()


@pytest.fixture(scope='session')
def fitted(worker_code, emt_frames, references):
    """The finished job of a real POD fit."""
    frames = FramesData(emt_frames(40))
    return run_job(
        'pod',
        worker_code,
        frames=frames,
        references=FramesData(references),
        elements=orm.List(['Cu', 'Au']),
        seed=orm.Int(0),
        settings=orm.Dict({'cutoff': 4.5, 'basis': 'S', 'ridge': 1e-8}),
    )


@pytest.fixture(scope='session')
def run_stage(worker_code):
    """Return a function that runs a CalcJob of the package for real and returns its node."""
    return lambda stage, **inputs: run_job(stage, worker_code, **inputs)


def run_job(stage: str, code: orm.AbstractCode, **inputs: Any) -> orm.CalcJobNode:
    _, node = run_get_node(CalculationFactory(f'mlip_autopipe.{stage}'), code=code, **inputs)
    return node


@pytest.fixture
def generate_calc_job(worker_code):
    """Return a function that gives the `CalcInfo` of a CalcJob and the folder that it would upload."""
    with contextlib.ExitStack() as stack:

        def generate(stage: str, **inputs: Any) -> tuple[Any, SandboxFolder]:
            folder = stack.enter_context(SandboxFolder())
            runner = get_manager().get_runner()
            process = instantiate_process(runner, CalculationFactory(f'mlip_autopipe.{stage}'), code=worker_code, **inputs)
            return process.prepare_for_submission(folder), folder

        yield generate


class Parsed(NamedTuple):
    outputs: dict[str, Any]
    node: orm.ProcessNode

    @property
    def error(self) -> str:
        """Label of the exit code, or an empty text."""
        return '' if self.node.is_finished_ok else str(self.node.exit_message)


@pytest.fixture(scope='session')
def fake_process(localhost):
    """Return a factory of stored process nodes that ended as told."""

    def make(
        kind: type[orm.ProcessNode] = orm.CalcJobNode,
        *,
        outputs: dict[str, orm.Data] | None = None,
        inputs: dict[str, orm.Data] | None = None,
        status: int = 0,
        message: str | None = None,
        state: ProcessState = ProcessState.FINISHED,
        process_type: str | None = None,
        label: str = '',
    ) -> Any:
        node = kind(computer=localhost) if kind is orm.CalcJobNode else kind()
        is_calculation = issubclass(kind, orm.CalculationNode)
        if process_type:
            node.process_type = process_type
        if label:
            node.set_process_label(label)
        for name, value in (inputs or {}).items():
            link = LinkType.INPUT_CALC if is_calculation else LinkType.INPUT_WORK
            node.base.links.add_incoming(value.store(), link, name)
        node.store()
        for name, value in (outputs or {}).items():
            if is_calculation:
                value.base.links.add_incoming(node, LinkType.CREATE, name)
                value.store()
            else:
                value.store().base.links.add_incoming(node, LinkType.RETURN, name)
        node.set_process_state(state)
        if state is ProcessState.FINISHED:
            node.set_exit_status(status)
            node.set_exit_message(message)
        return node

    return make


@pytest.fixture
def finished_calc_node(fake_process):
    """Return a factory of finished CalcJobs around the files that came back."""

    def make(stage: str, files: dict[str, str], **inputs: orm.Data) -> orm.CalcJobNode:
        retrieved = orm.FolderData()
        for name, text in files.items():
            retrieved.base.repository.put_object_from_bytes(text.encode(), name)
        process_type = f'aiida.calculations:mlip_autopipe.{stage}'
        return fake_process(outputs={'retrieved': retrieved}, inputs=inputs, process_type=process_type)

    return make


@pytest.fixture
def parse(finished_calc_node, tmp_path):
    """Return a function that parses files with the parser of a stage; its temporary folder is `tmp_path / 'temporary'`."""
    temporary = tmp_path / 'temporary'
    temporary.mkdir()

    def run(stage: str, files: dict[str, str], **inputs: orm.Data) -> Parsed:
        node = finished_calc_node(stage, files, **inputs)
        parser = ParserFactory(f'mlip_autopipe.{stage}')
        outputs, parsing = parser.parse_from_node(node, retrieved_temporary_folder=str(temporary))
        return Parsed(outputs or {}, parsing)

    return run


@pytest.fixture
def run_stage_here(generate_calc_job, fake_process):
    """Return a function that runs a stage in this process, in the folder that its job would have, and parses what it leaves."""

    def run(stage: str, **inputs: orm.Data) -> Parsed:
        info, sandbox = generate_calc_job(stage, **inputs)
        folder, ((worker_stage,),) = Path(sandbox.abspath), [code.cmdline_params for code in info.codes_info]
        worker.run_stage(worker_stage, folder)
        retrieved = orm.FolderData()
        for name in info.retrieve_list:
            if (folder / name).exists():
                retrieved.base.repository.put_object_from_file(str(folder / name), name)
        process_type = f'aiida.calculations:mlip_autopipe.{stage}'
        node = fake_process(outputs={'retrieved': retrieved}, inputs=inputs, process_type=process_type)
        parser = ParserFactory(f'mlip_autopipe.{stage}')
        outputs, parsing = parser.parse_from_node(node, retrieved_temporary_folder=str(folder))
        return Parsed(outputs or {}, parsing)

    return run


class Walk(NamedTuple):
    """A work chain whose outline was walked: children that it submitted, how it ended, what it attached.

    `steps` holds for each step the names in the context of the children that it waits for.
    """

    process: Any
    submitted: list[tuple[type, dict[str, Any]]]
    exit_code: ExitCode | None
    outputs: dict[str, Any]
    steps: list[list[str]]

    @property
    def names(self) -> list[str]:
        return [process.__name__ for process, _ in self.submitted]

    @property
    def label(self) -> str:
        """Label of the exit code, or an empty text."""
        codes = self.process.exit_codes.items()
        return next((name for name, code in codes if self.exit_code and code.status == self.exit_code.status), '')


def theory_of(settings: orm.Dict, elements: Sequence[str] = ('Al',)) -> dict[str, Any]:
    """Return settings of `pw.x` as input, with what they name in this profile."""
    return {'settings': settings, **theory_inputs(DFTConfig.model_validate(settings.get_dict()), elements)}


def _copied(values: Any) -> dict[str, Any]:
    # Defaults are filled in place, and a step may give the same options to two children.
    return {name: _copied(value) if isinstance(value, dict) else value for name, value in values.items()}


@pytest.fixture(scope='session')
def walk(aiida_profile):
    """Return a function that walks the real outline of a work chain; `answer(process_class, inputs)` gives each child."""

    def run(chain: type, answer: Any, **inputs: Any) -> Walk:
        if issubclass(chain, StagesWorkChain) and 'codes' not in inputs:
            config = MLIPConfig.from_mapping(inputs.pop('config').get_dict())
            inputs |= run_inputs(config, explores=chain.EXPLORES)
        process = instantiate_process(get_manager().get_runner(), chain, **inputs)
        submitted: list[tuple[type, dict[str, Any]]] = []

        def submit(child: Any, **values: Any) -> Any:
            if isinstance(child, ProcessBuilder):
                child, values = child.process_class, child._inputs(prune=True)
            ports = child.spec().inputs
            problem = ports.validate(ports.pre_process(_copied(values)))
            assert problem is None, problem
            submitted.append((child, values))
            return answer(child, values)

        process.submit = submit
        stepper = process.spec().get_outline().create_stepper(process)
        exit_code, steps = None, []
        is_finished = False
        while not is_finished:
            try:
                is_finished, result = stepper.step()
            except _PropagateReturn as stop:
                is_finished, result = True, stop.exit_code
            if isinstance(result, ExitCode) and result.status:
                exit_code, is_finished = result, True
            elif isinstance(result, dict):
                process.ctx.update(result)
            steps.append(sorted(result) if isinstance(result, dict) else [])
        return Walk(process, submitted, exit_code, dict(process.outputs), steps)

    return run


@pytest.fixture
def count_processes():
    """Return a function that counts the process nodes of the profile."""
    return lambda: orm.QueryBuilder().append(orm.ProcessNode).count()
