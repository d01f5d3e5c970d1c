import numpy as np
import pytest
from aiida import orm
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData

GAMMA_SELECT = 1.0
STEPS = 40


def test_the_ports():
    spec = CalculationFactory('mlip_autopipe.lammps_md').spec()
    assert {'potential', 'starts', 'temperature', 'seed', 'round', 'settings', 'code'} <= set(spec.inputs)
    assert spec.inputs['potential'].valid_type is PotentialData
    assert {'candidates', 'trajectories', 'report'} <= set(spec.outputs)
    assert spec.exit_codes.ERROR_NO_TRAJECTORY.status == 420


@pytest.mark.lammps
def test_candidates_descend_from_their_starts(run_stage, fitted):
    starts = fitted.inputs.frames.frames.take([2, 3])
    node = run_stage(
        'lammps_md',
        potential=fitted.outputs.potential,
        starts=FramesData(starts),
        temperature=orm.Float(900.0),
        seed=orm.Int(1),
        round=orm.Int(3),
        settings=orm.Dict({'steps': STEPS, 'gamma_select': GAMMA_SELECT, 'gamma_halt': 1000.0, 'pressure': None}),
    )
    assert node.is_finished_ok, node.exit_message
    runs = node.outputs.report['trajectories']
    assert [run['start'] for run in runs] == starts.uid.tolist()
    assert all(run['reason'] == 'finished' and run['steps_done'] == STEPS for run in runs)
    traces = node.outputs.trajectories
    assert {f'{name}_{i}' for name in ('step', 'gamma_max', 'temperature', 'energy', 'pressure') for i in (0, 1)} == set(
        traces.get_arraynames()
    )
    assert np.isfinite(traces.get_array('energy_0')).all()
    candidates = node.outputs.candidates.frames
    assert len(candidates) == sum(run['n_candidates'] for run in runs)
    assert set(candidates.lineage.tolist()) <= set(starts.lineage.tolist())
    assert set(candidates.parent.tolist()) <= set(starts.uid.tolist())
    assert set(candidates.round.tolist()) == {3}
    assert set(candidates.config_type.tolist()) == {'md'}
    assert not candidates.labelled.any()
