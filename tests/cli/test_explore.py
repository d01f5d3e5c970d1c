"""The command explore: what it submits, what it refuses before anything is submitted, and what it prints."""

import pytest
from aiida import orm

from aiida_mlip_autopipe.cli import nodes
from aiida_mlip_autopipe.cli.explore import exploration_lines, submit_explore
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.explore import ExploreWorkChain

RUN = {
    'temperature': 300.0,
    'start': 'abc',
    'reason': 'finished',
    'steps_done': 200,
    'gamma_max': 1.23456,
    'share_above_select': 0.25,
    'n_candidates': 3,
    'message': '',
}
REPORT = {
    'trajectories': [RUN, {**RUN, 'reason': 'error', 'gamma_max': None, 'share_above_select': None, 'message': 'it broke'}],
    'n_trajectories': 2,
    'n_stopped': 1,
    'n_candidates': 3,
    'n_duplicates': 1,
    'n_uncut': 0,
    'share_above_select': 0.25,
}


@pytest.fixture
def starts(emt_frames):
    return FramesData(emt_frames(2, labelled=False)).store()


@pytest.fixture
def submitted(monkeypatch, daemon, worker_code, fake_process):
    """Inputs of what was submitted; the exploration ends at once as `node` says."""
    seen = {'node': fake_process(orm.WorkChainNode, outputs={'report': orm.Dict(REPORT)})}

    def submit(process, **inputs):
        ports = process.spec().inputs
        assert ports.validate(ports.pre_process(dict(inputs))) is None
        seen.update(process=process, inputs=inputs)
        return seen['node']

    monkeypatch.setattr(nodes, 'submit', submit)
    return seen


def test_frames_that_are_given_are_the_starts(submitted, fake_potential, starts, config_file, capsys):
    node = submit_explore(str(fake_potential.pk), config_file(), str(starts.pk), False)
    assert node is submitted['node']
    assert submitted['process'] is ExploreWorkChain
    inputs = submitted['inputs']
    assert (inputs['potential'].pk, inputs['starts'].pk) == (fake_potential.pk, starts.pk)
    assert inputs['settings']['temperatures'] == [300]
    assert (inputs['seed'].value, inputs['round'].value) == (7, 0)
    assert inputs['metadata']['label'] == 'test'
    assert f'submitted ExploreWorkChain with PK {node.pk}' in capsys.readouterr().out


def test_without_frames_the_training_set_gives_the_starts(submitted, potential_folder, emt_frames, config_file):
    train = FramesData(emt_frames(6)).store()
    potential = PotentialData.from_folder(potential_folder(), training_uuid=train.uuid).store()
    submit_explore(potential.uuid, config_file(), None, False)
    starts = submitted['inputs']['starts'].frames
    assert len(starts) == 2, 'explore.starts'
    assert set(starts.uid.tolist()) <= set(train.frames.uid.tolist())
    assert not starts.labelled.any()


def test_waiting_tells_every_trajectory(submitted, fake_potential, starts, config_file, capsys):
    submit_explore(str(fake_potential.pk), config_file(), str(starts.pk), True)
    out = capsys.readouterr().out
    for line in exploration_lines(REPORT):
        assert line in out
    assert f'report: PK {submitted["node"].outputs.report.pk}' in out


def test_a_failure_is_told(submitted, fake_potential, fake_process, starts, config_file):
    submitted['node'] = fake_process(orm.WorkChainNode, status=410, message='MD at 300 K failed: no trajectory')
    with pytest.raises(InputError, match='did not end well: MD at 300 K failed: no trajectory'):
        submit_explore(str(fake_potential.pk), config_file(), str(starts.pk), True)


def test_a_long_timestep_is_a_warning(submitted, fake_potential, starts, config_file, capsys):
    submit_explore(str(fake_potential.pk), config_file(explore={'timestep': 6}), str(starts.pk), False)
    assert 'warning: explore.timestep: 6 fs is longer than 5 fs' in capsys.readouterr().err


def test_lines():
    assert exploration_lines(REPORT) == [
        '  300 K  start abc  finished after 200 steps, highest grade 1.23, above the threshold 25%, 3 candidates',
        '  300 K  start abc  error after 200 steps, highest grade unknown, above the threshold unknown, 3 candidates: it broke',
        '2 trajectories, 1 stopped, 3 candidates (1 duplicates, 0 too large), above the threshold 25% of the time',
    ]


class TestRefused:
    @pytest.fixture(autouse=True)
    def _nothing_is_submitted(self, submitted):
        yield
        assert 'process' not in submitted

    def test_a_mistake_in_the_file(self, fake_potential, starts, config_file):
        with pytest.raises(InputError, match=r'explore.temperatures.0: got -300'):
            submit_explore(str(fake_potential.pk), config_file(explore={'temperatures': [-300]}), str(starts.pk), False)

    def test_a_potential_that_does_not_exist(self, config_file, starts):
        with pytest.raises(InputError, match=r"POTENTIAL_PK: got '99999999'; no single node has it"):
            submit_explore('99999999', config_file(), str(starts.pk), False)

    def test_a_node_of_another_kind(self, config_file, fake_potential, starts):
        with pytest.raises(InputError, match=r'POTENTIAL_PK: got .* a FramesData; expected a PotentialData'):
            submit_explore(str(starts.pk), config_file(), str(starts.pk), False)
        with pytest.raises(InputError, match=r'--starts: got .* a PotentialData; expected a FramesData'):
            submit_explore(str(fake_potential.pk), config_file(), str(fake_potential.pk), False)

    def test_a_potential_without_active_set(self, potential_folder, config_file, starts):
        potential = PotentialData.from_folder(potential_folder(active_set='')).store()
        with pytest.raises(InputError, match='a potential without an active set: it has no extrapolation grade'):
            submit_explore(str(potential.pk), config_file(), str(starts.pk), False)

    @pytest.mark.parametrize('uuid', ['', '12345678-1234-1234-1234-123456789abc'])
    def test_training_frames_that_are_unknown(self, potential_folder, config_file, uuid):
        potential = PotentialData.from_folder(potential_folder(), training_uuid=uuid).store()
        with pytest.raises(InputError, match=r'does not know its training frames .*; give start structures: --starts FRAMES_PK'):
            submit_explore(str(potential.pk), config_file(), None, False)

    def test_elements_that_the_potential_does_not_know(self, potential_folder, config_file, starts):
        potential = PotentialData.from_folder(potential_folder(elements=('Cu', 'Ni'))).store()
        with pytest.raises(InputError, match=r"elements \['Au'\] of the frames \d+ are not among \['Cu', 'Ni'\]"):
            submit_explore(str(potential.pk), config_file(), str(starts.pk), False)

    def test_a_code_that_does_not_exist(self, fake_potential, config_file, starts):
        with pytest.raises(InputError, match=r"worker.code: got 'nothing@localhost'"):
            submit_explore(str(fake_potential.pk), config_file(worker={'code': 'nothing@localhost'}), str(starts.pk), False)

    def test_a_program_of_its_own_without_code(self, fake_potential, config_file, starts):
        path = config_file(train={'trainer': 'mlip_autopipe.pacemaker'}, explore={'explorer': 'mlip_autopipe.lammps_pace'})
        with pytest.raises(InputError, match=r'explore.code: missing; mlip_autopipe.lammps_pace runs a program of its own'):
            submit_explore(str(fake_potential.pk), path, str(starts.pk), False)

    def test_an_explorer_of_other_potentials(self, fake_potential, config_file, starts):
        explore = {'explorer': 'mlip_autopipe.lammps_pace', 'code': 'mlip-worker@localhost'}
        path = config_file(train={'trainer': 'mlip_autopipe.pacemaker'}, explore=explore)
        with pytest.raises(InputError, match=r'mlip_autopipe.lammps_pace cannot run this potential: .*pace/extrapolation'):
            submit_explore(str(fake_potential.pk), path, str(starts.pk), False)

    def test_an_explorer_that_does_not_exist(self, fake_potential, config_file, starts):
        with pytest.raises(InputError, match=r"explore.explorer: got 'other.md'"):
            submit_explore(str(fake_potential.pk), config_file(explore={'explorer': 'other.md'}), str(starts.pk), False)

    def test_no_daemon(self, fake_potential, config_file, starts, daemon):
        daemon.is_daemon_running = False
        with pytest.raises(InputError, match='no AiiDA daemon is running'):
            submit_explore(str(fake_potential.pk), config_file(), str(starts.pk), False)
