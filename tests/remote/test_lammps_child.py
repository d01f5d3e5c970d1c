import json

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.remote import lammps_child
from aiida_mlip_autopipe.remote.lammps_job import FRAMES, JOB, Packet, Task, read_failure


def write_job(folder, task, options, frames):
    frames.save(folder / FRAMES)
    (folder / JOB).write_text(json.dumps({'task': task, 'options': options}))
    return [str(folder / JOB)]


def test_every_task_is_known():
    assert set(lammps_child._TASKS) == set(Task)


@pytest.mark.lammps
def test_a_job_leaves_its_result(tmp_path):
    arguments = write_job(tmp_path, 'features', {'elements': ['Cu'], 'cutoff': 4.5}, Frames.from_atoms([bulk('Cu')]))
    assert lammps_child.main(arguments) == 0
    assert np.isfinite(Packet.read(tmp_path).arrays['features']).all()


@pytest.mark.lammps
def test_an_error_for_the_user_is_left_in_a_file(tmp_path):
    arguments = write_job(tmp_path, 'features', {'elements': ['Cu'], 'cutoff': 4.5}, Frames.from_atoms([bulk('Ag')]))
    assert lammps_child.main(arguments) == lammps_child.FAILED
    assert isinstance(read_failure(tmp_path), InputError)
