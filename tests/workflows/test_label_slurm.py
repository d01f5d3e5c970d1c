"""Labels by the real `pw.x` through the real Slurm: one batch of frames is one `sbatch` job."""

import re
import subprocess
from pathlib import Path

import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_mlip_autopipe.cli.setup import ensure_code, ensure_computer
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from tests.aiida_fixtures import theory_of
from tests.pw_data import strained_aluminium
from tests.slurm_cluster import slurm_cluster

__all__ = ['slurm_cluster']

WALLTIME = 180
N_FRAMES = 6


@pytest.fixture(scope='module')
def computer(slurm_cluster, tmp_path_factory, aiida_profile):
    return ensure_computer('one-node-slurm', tmp_path_factory.mktemp('slurm_work'), 'core.slurm')


def submissions(folder):
    """Return the ids of all jobs that `sbatch` ever gave to this cluster."""
    log = (folder / 'slurmctld.log').read_text(encoding='utf-8')
    return re.findall(r'_slurm_rpc_submit_batch_job: JobId=(\d+)', log)


def time_limit(job):
    shown = subprocess.run(['scontrol', 'show', 'job', job], capture_output=True, text=True, check=True, timeout=60).stdout
    hours, minutes, seconds = map(int, re.search(r'TimeLimit=(\d+):(\d+):(\d+)', shown).groups())
    return 3600 * hours + 60 * minutes + seconds


@pytest.mark.espresso
def test_one_batch_is_one_job_of_slurm(slurm_cluster, computer, worker_code, pw_code, lda_family):
    worker = ensure_code('mlip-worker', computer, Path(worker_code.filepath_executable), None)
    pw = ensure_code('pw', computer, Path(pw_code.filepath_executable), 'quantumespresso.pw')
    settings = DFTConfig.model_validate(
        {
            'pseudo_family': 'mlip-demo-lda',
            'cutoff_wfc': 12,
            'kpoints_distance': 0.6,
            'frames_per_job': 3,
            'max_concurrent': 2,
            'reuse': False,
            'options': {'walltime': WALLTIME},
        }
    )
    before = submissions(slurm_cluster)
    outputs, node = run_get_node(
        LabelWorkChain,
        code=pw,
        worker_code=worker,
        frames=FramesData.from_atoms(strained_aluminium(N_FRAMES, seed=5)),
        **theory_of(orm.Dict(settings.model_dump())),
    )
    assert node.exit_status == 0, node.exit_message
    assert len(outputs['labelled']) == N_FRAMES
    batches = [child for child in node.called if isinstance(child, orm.CalcJobNode)]
    jobs = submissions(slurm_cluster)[len(before) :]
    assert len(batches) == len(jobs) == 2
    assert sorted(batch.get_job_id() for batch in batches) == sorted(jobs)
    assert {time_limit(job) for job in jobs} == {WALLTIME}
    assert all(batch.base.attributes.get('scheduler_lastchecktime') for batch in batches)
