import json

import pytest
from aiida import orm
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.common.trainer_predictions import TRAINER_PREDICTIONS
from aiida_mlip_autopipe.data.frames import FramesData

SMALL = {'compared_frames': 3, 'stress_frames': 1, 'wall_points': 6, 'nve_structures': 1, 'nve_time': 50}


def test_the_ports():
    spec = CalculationFactory('mlip_autopipe.check').spec()
    assert {'potential', 'frames', 'seed', 'settings', 'code'} <= set(spec.inputs)
    assert {'report', 'curves'} <= set(spec.outputs)
    assert spec.exit_codes['ERROR_CHECKS_FAILED'].status == 510


def test_what_is_uploaded(generate_calc_job, fake_potential, emt_frames):
    info, folder = generate_calc_job(
        'check', potential=fake_potential, frames=FramesData(emt_frames(2)), settings=orm.Dict(SMALL), seed=orm.Int(3)
    )
    assert info.codes_info[0].cmdline_params == ['check']
    with folder.open('settings.json') as handle:
        assert json.load(handle) == {'settings': SMALL, 'seed': 3}
    assert {'frames.npz', 'potential'} <= set(folder.get_content_list())


@pytest.mark.lammps
def test_a_real_potential_passes(run_stage, fitted):
    names = fitted.outputs.potential.base.repository.list_object_names()
    assert TRAINER_PREDICTIONS in names
    node = run_stage(
        'check',
        potential=fitted.outputs.potential,
        frames=fitted.inputs.frames,
        settings=orm.Dict(SMALL),
        seed=orm.Int(0),
    )
    assert node.is_finished_ok, node.exit_message
    assert all(entry['passed'] for entry in node.outputs.report['checks'])
    assert 'nve_energy' in node.outputs.curves.get_arraynames()


@pytest.mark.lammps
def test_a_check_that_fails_is_an_exit_code_with_reasons(run_stage, fitted):
    node = run_stage(
        'check',
        potential=fitted.outputs.potential,
        frames=fitted.inputs.frames,
        settings=orm.Dict({**SMALL, 'nve_fluctuation': 1e-9}),
        seed=orm.Int(0),
    )
    assert node.exit_status == 510
    assert 'the total energy fluctuates by up to' in node.exit_message
    assert 'report' in node.outputs
