"""`RecoverWorkChain`: what it says of a chain that ended, by the calls of that chain."""

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from aiida.orm.utils.serialize import deserialize_unsafe, serialize

from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.workflows.recover import failure_of_chain, remedy_of


@pytest.fixture
def call(localhost):
    """Return a factory of finished calls of a process."""

    def make(parent, kind, link, label, status, *, state=ProcessState.FINISHED):
        node = kind(computer=localhost) if kind is orm.CalcJobNode else kind()
        node.base.links.add_incoming(parent, link, label)
        node.store()
        node.set_process_state(state)
        if state is ProcessState.FINISHED:
            node.set_exit_status(status)
        return node

    return make


@pytest.fixture
def chain(fake_process, call):
    """Return a factory of chains that called a remedy for each exit status of `pw.x`, the last of `PwBaseWorkChain` as told."""

    def make(*statuses, base=401, state=ProcessState.FINISHED, **facts):
        node = fake_process(orm.WorkChainNode, status=410, message='out_of_time', **facts)
        for number, status in enumerate(statuses):
            remedy = call(node, orm.WorkChainNode, LinkType.CALL_WORK, f'remedy_{number}', base, state=state)
            if status is not None:
                call(remedy, orm.CalcJobNode, LinkType.CALL_CALC, 'iteration_01', status)
        return node

    return make


def test_the_last_calculation_of_the_last_remedy_tells_why(chain):
    assert failure_of_chain(chain(400, 410)) == FrameFailure(Reason.SCF_NOT_CONVERGED)
    assert failure_of_chain(chain(410, 400)) == FrameFailure(Reason.OUT_OF_TIME, 'out_of_walltime')
    assert failure_of_chain(chain(305)) == FrameFailure(Reason.STOPPED_EARLY, 'output_files')


def test_without_a_calculation_that_failed_the_chain_around_it_tells(chain):
    assert failure_of_chain(chain(None, base=302)) == FrameFailure(Reason.JOB_LOST, 'sub_process_killed')
    assert failure_of_chain(chain(0, base=401)) == FrameFailure(Reason.OTHER, 'maximum_iterations_exceeded')
    assert failure_of_chain(chain(9999)) == FrameFailure(Reason.OTHER, '9999')


def test_what_was_killed_is_lost(chain, fake_process):
    assert failure_of_chain(chain(None, state=ProcessState.KILLED)) == FrameFailure(Reason.JOB_LOST, 'killed')
    assert failure_of_chain(fake_process(orm.WorkChainNode, state=ProcessState.KILLED)) == FrameFailure(Reason.JOB_LOST, 'killed')
    excepted = fake_process(orm.WorkChainNode, state=ProcessState.EXCEPTED)
    assert failure_of_chain(excepted) == FrameFailure(Reason.JOB_LOST, 'excepted')


def test_the_remedy_that_helped_is_the_last_one(chain):
    assert remedy_of(chain(410, 0)) == 'remedy_1'


def test_a_failure_survives_the_checkpoint_of_a_chain():
    failures = {3: FrameFailure(Reason.FORCE_CAP, '63 eV/Å')}
    found = deserialize_unsafe(serialize(failures))
    assert found == failures
    assert found[3].reason is Reason.FORCE_CAP
