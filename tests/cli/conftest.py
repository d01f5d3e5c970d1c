import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState

from aiida_mlip_autopipe.cli import nodes
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData


@pytest.fixture
def daemon(monkeypatch):
    """Let the commands believe in a daemon, or not."""

    class Client:
        is_daemon_running = True

    monkeypatch.setattr(nodes, 'get_daemon_client', Client)
    return Client


@pytest.fixture
def finished_run(fake_process, emt_frames, references, potential_folder):
    """Return a factory of finished runs; `leave_out` names outputs that are missing."""

    def make(*, leave_out=(), **details):
        outputs = {
            'references': FramesData(references),
            'train_frames': FramesData(emt_frames(4)),
            'test_frames': FramesData(emt_frames(2, seed=5)),
            'potential': PotentialData.from_folder(potential_folder()),
            'report': orm.Dict({'stop_reason': 'converged', 'labels_total': 8}),
        }
        kept = {name: node for name, node in outputs.items() if name not in leave_out}
        return fake_process(orm.WorkChainNode, label='ActiveLearningWorkChain', outputs=kept, **details)

    return make


ERRORS = {'energy_rmse': 0.0123, 'force_rmse': 0.0567, 'stress_rmse': 0.25 * GPA}
SELECTION = {
    'counts': {'generated': 522, 'sane': 503, 'unique': 443, 'inside': 390, 'selected': 39},
    'by_config_type': {
        'rattle': {'generated': 240, 'sane': 222, 'unique': 190, 'inside': 170, 'selected': 14},
        'sqs': {'generated': 40, 'sane': 40, 'unique': 22, 'inside': 22, 'selected': 6},
        'strain': {'generated': 160, 'sane': 160, 'unique': 150, 'inside': 119, 'selected': 12},
        'surrogate_md': {'generated': 80, 'sane': 80, 'unique': 80, 'inside': 78, 'selected': 6},
        'vacancy': {'generated': 2, 'sane': 1, 'unique': 1, 'inside': 1, 'selected': 1},
    },
    'reasons': {
        'short_bond': 18,
        'flat_cell': 1,
        'duplicate': 58,
        'already_labelled': 2,
        'force_cap': 12,
        'energy_window': 40,
        'volume_window': 1,
        'not_selected': 351,
    },
    'reasons_by_config_type': {
        'rattle': {
            'short_bond': 18,
            'duplicate': 30,
            'already_labelled': 2,
            'force_cap': 12,
            'energy_window': 8,
            'not_selected': 156,
        },
        'sqs': {'duplicate': 18, 'not_selected': 16},
        'strain': {'duplicate': 10, 'energy_window': 30, 'volume_window': 1, 'not_selected': 107},
        'surrogate_md': {'energy_window': 2, 'not_selected': 72},
        'vacancy': {'flat_cell': 1},
    },
    'budget': 40,
    'notes': ['quota of config_type vacancy: 1 of 2 were selected'],
    'surrogate': {
        'kind': 'mace',
        'name': 'surrogate.model',
        'sha256': 'ab' * 32,
        'device': 'cpu',
        'dtype': 'float32',
        'note': '',
    },
}
MD = {
    'counts': {'generated': 31, 'sane': 31, 'unique': 24, 'inside': 24, 'selected': 12},
    'by_config_type': {'md': {'generated': 31, 'sane': 31, 'unique': 24, 'inside': 24, 'selected': 12}},
    'reasons': {'already_labelled': 7, 'not_selected': 12},
    'reasons_by_config_type': {'md': {'already_labelled': 7, 'not_selected': 12}},
    'budget': 12,
    'notes': ['no model was given'],
    'surrogate': {'kind': 'descriptor', 'name': 'mlip_autopipe.pod', 'note': ''},
}


@pytest.fixture
def call(fake_process):
    """Return a function that adds a child to a process under a label, before it is stored."""

    def make(parent, label, name, *, outputs=None, status=0, message=None, state=ProcessState.FINISHED):
        kind = orm.CalcFunctionNode if name == 'summarize_round' else orm.CalcJobNode
        child = kind() if kind is orm.CalcFunctionNode else kind(computer=orm.load_computer('localhost'))
        child.set_process_label(name)
        child.base.links.add_incoming(parent, LinkType.CALL_CALC, label)
        child.store()
        for port, node in (outputs or {}).items():
            node.base.links.add_incoming(child, LinkType.CREATE, port)
            node.store()
        child.set_process_state(state)
        if state is ProcessState.FINISHED:
            child.set_exit_status(status)
            child.set_exit_message(message)
        return child

    return make


@pytest.fixture
def run_of_rounds(fake_process, call):
    """Return a factory of runs: round 0 closed, round 1 closed, and round 2 as far as its selection where `open_round`."""

    def make(*, open_round=False):
        state = ProcessState.WAITING if open_round else ProcessState.FINISHED
        outcome = {} if open_round else {'report': orm.Dict({'stop_reason': 'converged', 'labels_total': 53})}
        run = fake_process(orm.WorkChainNode, label='ActiveLearningWorkChain', state=state, outputs=outcome)
        run.label = 'Al-Mg <demo>'
        for number, report in ((0, SELECTION), (1, MD)):
            call(run, f'select_{number:02d}', 'SelectCalculation', outputs={'report': orm.Dict(report)})
            call(run, f'label_{number:02d}', 'LabelAseCalculation')
            entry = {
                'round': number,
                'labels_bought': (41, 12)[number],
                'labels_total': (41, 53)[number],
                'n_train': (30, 42)[number],
                'n_test': 9,
                'explore': None,
                'funnel': report['counts'],
                'funnel_by_config_type': report['by_config_type'],
                'funnel_reasons': report['reasons_by_config_type'],
                'labels_failed': 2 * number,
                'failures_by_reason': {'scf_not_converged': 2} if number else {},
                'acquisition': {**ERRORS, 'force_rmse': 0.2} if number else None,
                'train_errors': ERRORS,
                'test_errors': {**ERRORS, 'force_rmse': (0.09, 0.06)[number]},
                'gamma_max': 3.14159,
            }
            call(run, f'iter_{number}', 'summarize_round', outputs={'result': orm.Dict(entry)})
        if open_round:
            call(run, 'explore_02', 'ExploreWorkChain')
            call(run, 'select_02', 'SelectCalculation', outputs={'report': orm.Dict(MD)})
            call(run, 'label_02', 'LabelAseCalculation', state=ProcessState.WAITING)
        return run

    return make
