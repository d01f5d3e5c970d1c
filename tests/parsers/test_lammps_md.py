import json

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData


@pytest.fixture
def inputs(emt_frames, fake_potential):
    return {
        'potential': fake_potential,
        'starts': FramesData(emt_frames(2, labelled=False)),
        'temperature': orm.Float(300.0),
        'seed': orm.Int(0),
        'round': orm.Int(1),
        'settings': orm.Dict({}),
    }


def files(*steps_done):
    runs = [{'steps_done': n, 'message': f'ran {n}', 'reason': 'finished' if n else 'error'} for n in steps_done]
    return {'report.json': json.dumps({'trajectories': runs})}


def test_candidates_and_traces_are_attached(parse, tmp_path, emt_frames, inputs):
    emt_frames(3, labelled=False).save(tmp_path / 'temporary' / 'candidates.npz')
    np.savez(tmp_path / 'temporary' / 'trajectories.npz', step_0=np.arange(5.0))
    parsed = parse('lammps_md', files(10, 0), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert len(parsed.outputs['candidates']) == 3
    assert parsed.outputs['trajectories'].get_arraynames() == ['step_0']


def test_no_candidates_are_a_result(parse, inputs):
    parsed = parse('lammps_md', files(10, 10), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert 'candidates' not in parsed.outputs


def test_traces_without_arrays_are_not_attached(parse, tmp_path, inputs):
    np.savez(tmp_path / 'temporary' / 'trajectories.npz')
    assert 'trajectories' not in parse('lammps_md', files(10), **inputs).outputs


def test_trajectories_that_never_started_are_an_error(parse, inputs):
    parsed = parse('lammps_md', files(0, 0), **inputs)
    assert parsed.node.exit_status == 420
    assert parsed.error == "None of 2 trajectories could be started: ['ran 0', 'ran 0']"
    assert 'report' in parsed.outputs


def test_grades_and_restart_files_are_attached(parse, tmp_path, emt_frames, inputs):
    frames = emt_frames(2, labelled=False)
    frames.save(tmp_path / 'temporary' / 'candidates.npz')
    frames.save(tmp_path / 'temporary' / 'uncut.npz')
    np.savez(tmp_path / 'temporary' / 'candidate_grades.npz', gamma=np.arange(len(frames.numbers)) / 2)
    (tmp_path / 'temporary' / 'restarts').mkdir()
    (tmp_path / 'temporary' / 'restarts' / 'restart_001.lammps').write_bytes(b'\x00\xff')
    outputs = parse('lammps_md', files(10, 0), **inputs).outputs
    assert outputs['candidate_grades'].get_array('gamma').tolist() == [n / 2 for n in range(len(frames.numbers))]
    assert outputs['restarts'].base.repository.get_object_content('restart_001.lammps', mode='rb') == b'\x00\xff'
    assert len(outputs['uncut']) == 2


def test_an_empty_folder_of_restart_files_is_not_attached(parse, tmp_path, inputs):
    (tmp_path / 'temporary' / 'restarts').mkdir()
    assert 'restarts' not in parse('lammps_md', files(10), **inputs).outputs


def test_a_start_beyond_the_limit_is_a_result(parse, inputs):
    report = {'trajectories': [{'steps_done': 0, 'message': '', 'reason': 'grade'}]}
    assert parse('lammps_md', {'report.json': json.dumps(report)}, **inputs).node.is_finished_ok


def test_partial_output_of_a_job_that_was_killed_is_attached(parse, tmp_path, emt_frames, inputs):
    emt_frames(3, labelled=False).save(tmp_path / 'temporary' / 'candidates.npz')
    np.savez(tmp_path / 'temporary' / 'trajectories.npz', step_0=np.arange(5.0))
    parsed = parse('lammps_md', {}, **inputs)
    assert parsed.node.exit_status == 310
    assert len(parsed.outputs['candidates']) == 3
    assert 'trajectories' in parsed.outputs
