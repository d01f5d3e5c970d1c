"""What the tests of the physics gate share: a code of `lmp`, and jobs of the gate that answer without a run."""

import dataclasses

import numpy as np
from aiida import orm

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from tests.pod_data import labelled

EVERYTHING = {
    'crystals': ['Cu'],
    'vacancy': {'supercell': [2, 2, 2]},
    'surface': {'millers': [[1, 0, 0]], 'layers': 2},
    'phonons': {'q_points': [[0.5, 0.5, 0.0]]},
    'expansion': {'n_atoms': 32, 'steps': 200, 'equilibration': 100},
}


@dataclasses.dataclass
class Jobs:
    """Finished children of the gate: EMT labels, and EMT times a factor is the potential.

    :param lost: sections (`rest`, `properties`) of which the labeller returns nothing.
    :param broken: names of processes that fail.
    """

    make: object
    stiffness: float = 1.0
    lost: tuple = ()
    broken: tuple = ()
    calls: list = dataclasses.field(default_factory=list)

    def __call__(self, process, inputs):
        name = process.__name__
        self.calls.append((name, inputs['metadata']['call_link_label']))
        if name in self.broken:
            kind = orm.WorkChainNode if name.endswith('WorkChain') else orm.CalcJobNode
            return self.make(kind, status=410, message=f'{name} broke')
        return getattr(self, f'_{name}')(inputs)

    def _LabelAseCalculation(self, inputs):  # noqa: N802  # the name of the process
        frames = self._labelled(inputs['frames'].frames)
        if inputs['metadata']['call_link_label'].removeprefix('label_') in self.lost:
            return self.make(status=420, message='none could be labelled')
        report = orm.Dict({'n_reused': 1, 'n_failed': 0})
        return self.make(outputs={'labelled': FramesData(frames), 'report': report})

    def _EvaluateCalculation(self, inputs):  # noqa: N802
        frames = self._labelled(inputs['frames'].frames)
        columns = {name: self.stiffness * getattr(frames, name) for name in ('energy', 'forces', 'stress')}
        return self.make(outputs={'predictions': orm.ArrayData(columns), 'report': orm.Dict({'gamma_max': 1.0})})

    def _SimulateWorkChain(self, inputs):  # noqa: N802
        frames = inputs['frames'].frames
        volumes = [float(atoms.cell.volume * (1 + 1e-5 * inputs['settings']['temperature'])) for atoms in frames]
        report = {'averages': [{'volume': volume} for volume in volumes]}
        moved = [_shifted(atoms) for atoms in frames]
        outputs = {'ends': FramesData(Frames.from_atoms(moved)), 'report': orm.Dict(report)}
        return self.make(orm.WorkChainNode, outputs=outputs)

    def _labelled(self, frames):
        found = []
        for atoms in frames:
            info = {**atoms.info, 'fingerprint': 'emt'}
            with_label = labelled(atoms)
            with_label.info = info
            found.append(with_label)
        return Frames.from_atoms(found)


def _shifted(atoms):
    moved = atoms.copy()
    moved.info = {name: atoms.info[name] for name in ('config_type', 'origin')}
    moved.positions += 0.02 * np.sin(np.arange(3 * len(atoms)).reshape(-1, 3))
    return moved
