import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData


@pytest.fixture
def options():
    return {'budget': orm.Int(3), 'seed': orm.Int(0), 'settings': orm.Dict({})}


def test_every_frame_is_selected_or_rejected_with_a_reason(run_stage, emt_frames, options):
    frames = emt_frames(8, labelled=False)
    doubled = Frames.concatenate([frames, frames.take([0])])
    node = run_stage('surrogate', frames=FramesData(doubled), **options)
    assert node.is_finished_ok, node.exit_message
    indices, reasons = (node.outputs.selection.get_array(name) for name in ('indices', 'reasons'))
    assert len(indices) == 3
    assert len(reasons) == 9
    assert {i for i, reason in enumerate(reasons.tolist()) if not reason} == set(indices.tolist())
    counts = node.outputs.report['counts']
    assert counts['generated'] == 9
    assert counts['unique'] == 8
    assert counts['selected'] == 3
    assert sum(node.outputs.report['reasons'].values()) == 6


def test_what_is_known_is_not_selected(run_stage, emt_frames, options):
    frames = emt_frames(6, labelled=False)
    node = run_stage('surrogate', frames=FramesData(frames), known=FramesData(emt_frames(4)), **options)
    assert set(node.outputs.selection.get_array('indices').tolist()) <= {4, 5}
    assert node.outputs.report['n_known'] == 4


def test_nothing_to_select_is_an_exit_code_with_the_reasons(run_stage, emt_frames, options):
    frames = emt_frames(2, labelled=False)
    node = run_stage('surrogate', frames=FramesData(frames), known=FramesData(frames), **options)
    assert node.exit_status == 420
    assert node.exit_message.startswith('None of 2 candidates was selected: ')
    np.testing.assert_array_equal(node.outputs.selection.get_array('indices'), [])
