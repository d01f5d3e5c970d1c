"""A one-node Slurm cluster for the tests, started in a temporary folder and stopped after them."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / 'examples' / 'slurm_one_node.sh'
PROGRAMS = ('munged', 'slurmctld', 'slurmd', 'sbatch')


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return str(one.getsockname()[1])


@pytest.fixture(scope='session')
def slurm_cluster(tmp_path_factory):
    """Return the folder of a running cluster, with `slurmctld.log` in it."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f'{", ".join(missing)} not installed (apt-get install slurm-wlm munge)')
    if os.geteuid() != 0:
        pytest.skip('only root can start the services of Slurm')
    folder = tmp_path_factory.mktemp('slurm')
    ports = {'SLURMCTLD_PORT': free_port(), 'SLURMD_PORT': free_port()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('SLURM_CONF', str(folder / 'slurm.conf'))
        try:
            # Its services would keep a pipe open: what it says goes into a file.
            with (folder / 'start.log').open('w', encoding='utf-8') as log:
                started = subprocess.run(
                    [SCRIPT, 'start', folder], env={**os.environ, **ports}, stdout=log, stderr=log, check=False, timeout=120
                )
            assert started.returncode == 0, (folder / 'start.log').read_text(encoding='utf-8')
            yield folder
        finally:
            subprocess.run([SCRIPT, 'stop', folder], check=True, timeout=120)
