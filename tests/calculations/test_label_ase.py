import numpy as np
from aiida import orm

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.ase.labeller import AseLabeller

TOLERANCE = 1e-10


def settings(**values):
    return orm.Dict(AseLabeller(labeller='mlip_autopipe.label_ase', **values).model_dump())


def test_labels_are_those_of_the_calculator_and_lead_to_the_calculation(run_stage, emt_frames):
    expected = emt_frames(4)
    node = run_stage('label_ase', frames=FramesData(emt_frames(4, labelled=False)), settings=settings())
    assert node.is_finished_ok, node.exit_message
    found = node.outputs.labelled.frames
    np.testing.assert_allclose(found.energy, expected.energy, atol=TOLERANCE)
    np.testing.assert_allclose(found.forces, expected.forces, atol=TOLERANCE)
    np.testing.assert_allclose(found.stress, expected.stress, atol=TOLERANCE)
    assert set(found.label_uuid.tolist()) == {node.uuid}
    assert set(found.fingerprint.tolist()) == set(node.outputs.report['levels_of_theory'])
    assert found.lineage.tolist() == expected.lineage.tolist()
    assert 'quarantined' not in node.outputs


def test_a_frame_above_the_force_cap_is_quarantined(run_stage, emt_frames):
    frames = emt_frames(4, labelled=False)
    squeezed = frames.atoms(0)
    squeezed.set_cell(0.6 * squeezed.cell, scale_atoms=True)
    squeezed.rattle(0.1, seed=1)
    squeezed.info.pop('uid')
    both = Frames.concatenate([frames, Frames.from_atoms([squeezed])])
    node = run_stage('label_ase', frames=FramesData(both), settings=settings(force_cap=20.0))
    assert node.is_finished_ok, node.exit_message
    assert len(node.outputs.labelled) == 4
    assert node.outputs.quarantined.frames.uid.tolist() == [both.uid[4]]
    assert node.outputs.report['by_reason'] == {'force_cap': 1}


def test_too_many_failures_are_an_exit_code_with_everything_attached(run_stage, emt_frames):
    settings_ = settings(force_cap=1e-6, max_failure_rate=0.25)
    node = run_stage('label_ase', frames=FramesData(emt_frames(4, labelled=False)), settings=settings_)
    assert node.exit_status == 420
    assert node.exit_message.startswith('4 of 4 frames failed, more than the allowed rate of 0.25:')
    assert 'force_cap' in node.exit_message
    assert len(node.outputs.quarantined) == 4


def test_parameters_that_do_not_fit_the_calculator_are_refused(run_stage, emt_frames):
    frames = FramesData(emt_frames(2, labelled=False))
    node = run_stage('label_ase', frames=frames, settings=settings(parameters={'colour': 1}))
    assert node.exit_status in (210, 410)
    assert 'colour' in node.exit_message
