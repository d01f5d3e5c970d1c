import pytest
from aiida import orm

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData


@pytest.fixture
def finished_run(fake_process, emt_frames, references, potential_folder):
    """Return a factory of finished runs; `leave_out` names outputs that are missing."""

    def make(*, leave_out=(), **details):
        outputs = {
            'references': FramesData(references),
            'train_frames': FramesData(emt_frames(4)),
            'test_frames': FramesData(emt_frames(2, seed=5)),
            'potential': PotentialData.from_folder(potential_folder()),
            'report': orm.Dict({'stop_reason': 'converged', 'labels_total': 8}),
        }
        kept = {name: node for name, node in outputs.items() if name not in leave_out}
        return fake_process(orm.WorkChainNode, label='ActiveLearningWorkChain', outputs=kept, **details)

    return make
