import json

import pytest
from aiida import orm
from ase.build import bulk

from aiida_mlip_autopipe.calculations.simulate_worker import SimulateCalculation, validate_simulation
from aiida_mlip_autopipe.data.frames import FramesData

RUN = {'kind': 'nvt', 'steps': 20, 'timestep': 1.0}


def test_the_ports():
    spec = SimulateCalculation.spec()
    assert {'potential', 'frames', 'settings', 'code'} <= set(spec.inputs)
    assert 'ends' in spec.outputs
    assert SimulateCalculation.STAGE == 'simulate'


def test_what_is_uploaded(generate_calc_job, fake_potential, emt_frames):
    frames = FramesData(emt_frames(2, labelled=False))
    info, folder = generate_calc_job('simulate_worker', potential=fake_potential, frames=frames, settings=orm.Dict(RUN))
    assert info.codes_info[0].cmdline_params == ['simulate']
    assert {'settings.json', 'frames.npz', 'potential'} <= set(folder.get_content_list())
    with folder.open('settings.json') as handle:
        assert json.load(handle) == {'settings': RUN}


@pytest.mark.parametrize(
    ('settings', 'told'), [({'kind': 'melt'}, 'kind: got'), ({'kind': 'nvt', 'steps': 'many'}, 'not supported'), (RUN, None)]
)
def test_settings_are_checked(settings, told):
    found = validate_simulation(orm.Dict(settings), None)
    assert (found is None) == (told is None)
    assert told is None or told in found


@pytest.mark.lammps
def test_a_real_run(run_stage, fitted):
    frames = FramesData.from_atoms([bulk('Cu', a=3.6, cubic=True)])
    node = run_stage('simulate_worker', potential=fitted.outputs.potential, frames=frames, settings=orm.Dict(RUN))
    assert node.is_finished_ok, node.exit_message
    assert len(node.outputs.ends) == 1
    assert node.outputs.report['averages'][0]['volume'] == pytest.approx(3.6**3)
