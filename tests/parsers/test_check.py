import json

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.checks.finding import Finding

GOOD = Finding.at_most('nve_drift', 0.1, 1.0, 'meV/atom/ps', 'it drifts little')
BAD = Finding.at_most('wall_Cu-Au', 3.0, 0.01, 'eV', 'the energy of a pair Cu-Au falls by 3 eV')
WORSE = Finding.failed('nve_drift', 'LAMMPS lost atoms')
SKIPPED = Finding.not_made('force_agreement', 'nothing to compare')


@pytest.fixture
def inputs(emt_frames, fake_potential):
    return {'potential': fake_potential, 'frames': FramesData(emt_frames(2)), 'settings': orm.Dict({}), 'seed': orm.Int(1)}


def files(*findings):
    return {'report.json': json.dumps({'checks': [finding.to_dict() for finding in findings]})}


def test_all_passed(parse, tmp_path, inputs):
    np.savez(tmp_path / 'temporary' / 'curves.npz', wall_Cu_Au_distance=np.ones(3), wall_Cu_Au_energy=np.ones(3))
    parsed = parse('check', files(GOOD, SKIPPED), **inputs)
    assert parsed.node.is_finished_ok, parsed.error
    assert sorted(parsed.outputs['curves'].get_arraynames()) == ['wall_Cu_Au_distance', 'wall_Cu_Au_energy']
    assert parsed.outputs['report']['checks'][0] == GOOD.to_dict()


def test_every_failure_is_told_and_the_report_is_kept(parse, inputs):
    parsed = parse('check', files(GOOD, BAD, WORSE), **inputs)
    assert parsed.node.exit_status == 510
    assert parsed.error == ('The potential did not pass its checks: the energy of a pair Cu-Au falls by 3 eV; LAMMPS lost atoms')
    assert len(parsed.outputs['report']['checks']) == 3


@pytest.mark.parametrize('report', [{}, {'checks': []}])
def test_a_report_without_checks_is_no_success(parse, inputs, report):
    parsed = parse('check', {'report.json': json.dumps(report)}, **inputs)
    assert parsed.node.exit_status == 320
    assert 'the report names no check' in parsed.error


def test_curves_that_cannot_be_read(parse, tmp_path, inputs):
    (tmp_path / 'temporary' / 'curves.npz').write_bytes(b'nothing')
    assert parse('check', files(GOOD), **inputs).node.exit_status == 320


def test_a_stage_that_stopped(parse, inputs):
    error = {'kind': 'InputError', 'message': 'the trainer predicted frame 5, the training set holds 4 frames'}
    parsed = parse('check', {'error.json': json.dumps(error)}, **inputs)
    assert parsed.node.exit_status == 210
    assert parsed.error == error['message']
