import pytest
from aiida.plugins import CalculationFactory

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.science.metrics import label_errors

RELATIVE = 1e-3


def test_the_ports():
    spec = CalculationFactory('mlip_autopipe.evaluate').spec()
    assert {'potential', 'frames', 'settings', 'code'} <= set(spec.inputs)
    assert not spec.inputs['settings'].required
    assert {'predictions', 'report'} <= set(spec.outputs)


@pytest.mark.lammps
def test_errors_on_the_training_frames_are_those_of_the_trainer(run_stage, fitted):
    node = run_stage('evaluate', potential=fitted.outputs.potential, frames=fitted.inputs.frames)
    assert node.is_finished_ok, node.exit_message
    frames = fitted.inputs.frames.frames
    arrays = {name: node.outputs.predictions.get_array(name) for name in ('energy', 'forces', 'stress', 'gamma')}
    assert arrays['forces'].shape == frames.forces.shape
    assert arrays['gamma'].shape == frames.numbers.shape
    errors = label_errors(frames, arrays['energy'], arrays['forces'], arrays['stress'])
    assert node.outputs.report['errors']['force_rmse'] == pytest.approx(errors.force_rmse)
    for name, value in fitted.outputs.report['training_errors'].items():
        assert node.outputs.report['errors'][name] == pytest.approx(value, rel=RELATIVE)
    assert node.outputs.report['gamma_max'] <= 1.01


@pytest.mark.lammps
def test_frames_without_labels_have_predictions_and_no_errors(run_stage, fitted, emt_frames):
    node = run_stage('evaluate', potential=fitted.outputs.potential, frames=FramesData(emt_frames(2, labelled=False)))
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.report['errors'] is None
    assert len(node.outputs.predictions.get_array('energy')) == 2
