import pytest
from aiida import orm

from aiida_mlip_autopipe.calculations.generate import GenerateCalculation
from aiida_mlip_autopipe.calculations.label_ase import LabelAseCalculation
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from aiida_mlip_autopipe.workflows.processes import find_process, labelling
from aiida_mlip_autopipe.workflows.train import TrainWorkChain


def test_a_process_is_a_calculation_or_a_work_chain():
    assert find_process('mlip_autopipe.generate', 'any') is GenerateCalculation
    assert find_process('mlip_autopipe.train', 'any') is TrainWorkChain


def test_an_unknown_entry_point_names_the_field_and_the_value():
    with pytest.raises(InputError, match=r"^train\.trainer: got 'mine'; no such entry point in aiida\.calculations or aiida"):
        find_process('mine', 'train.trainer')


@pytest.mark.parametrize(
    ('labeller', 'process', 'own'),
    [('mlip_autopipe.label', LabelWorkChain, {'worker_code'}), ('mlip_autopipe.label_ase', LabelAseCalculation, set())],
)
def test_a_labeller_gets_what_it_takes(worker_code, emt_frames, labeller, process, own):
    section = orm.Dict({'labeller': labeller, 'options': {'walltime': 60}, 'force_cap': 9.0})
    nodes = {'code': worker_code, 'worker': worker_code, 'frames': FramesData(emt_frames(2))}
    found, inputs = labelling(section, **nodes, link='label_03')
    assert found is process
    assert set(inputs) == {'code', 'frames', 'settings', 'metadata'} | own
    assert inputs['settings'] is section
    assert inputs['metadata']['call_link_label'] == 'label_03'
    seconds = inputs['metadata'].get('options', {}).get('max_wallclock_seconds')
    assert seconds == (None if process is LabelWorkChain else 60)
