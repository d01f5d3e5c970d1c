"""A daemon whose workers are killed in the middle of the labelling loses no label."""

import os
import signal
import time

import pytest
from aiida import orm
from aiida.engine import submit
from ase.build import bulk

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from tests.aiida_fixtures import theory_of

N_FRAMES = 6
TIMEOUT = 600


def aluminium(n_frames: int) -> FramesData:
    structures = [bulk('Al', 'fcc', a=3.9 + 0.03 * index) for index in range(n_frames)]
    return FramesData.from_atoms(structures)


def finished_jobs(node: orm.WorkChainNode) -> int:
    return sum(child.is_finished_ok for child in node.called if child.process_label == 'PwBatchCalculation')


def wait_until(condition, what: str) -> None:
    limit = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < limit, f'timed out waiting for {what}'
        time.sleep(0.2)


@pytest.mark.daemon
@pytest.mark.espresso
def test_killed_workers_lose_no_label(started_daemon_client, worker_code, pw_code, lda_family):
    config = DFTConfig(
        pseudo_family=lda_family.label,
        cutoff_wfc=12,
        kpoints_distance=0.5,
        max_concurrent=2,
        frames_per_job=1,
        reuse=False,
    )
    settings = orm.Dict(config.model_dump(mode='json'))
    node = submit(LabelWorkChain, code=pw_code, worker_code=worker_code, frames=aluminium(N_FRAMES), **theory_of(settings))
    wait_until(lambda: finished_jobs(node) >= 2, 'the first jobs')

    killed = [int(pid) for pid in started_daemon_client.get_worker_info()['info']]
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    assert not node.is_terminated
    started_daemon_client.restart_daemon(wait=True)

    wait_until(lambda: node.is_terminated, 'the end of the labelling')
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.report['n_labelled'] == N_FRAMES
    assert len(node.outputs.labelled) == N_FRAMES
    assert len(set(node.outputs.labelled.frames.label_uuid.tolist())) == N_FRAMES
