import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.build import bulk

from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.engines.lammps.simulation import Simulation, SimulationKind
from aiida_mlip_autopipe.workflows import simulate as module
from aiida_mlip_autopipe.workflows.simulate import SimulateWorkChain
from tests.engines.lammps.test_simulation_files import NPT

EXAMPLES = Path(__file__).parents[2] / 'examples'
RELAX = Simulation(SimulationKind.RELAX, steps=200, force_tolerance=1e-3)
NO_PACE = "ERROR: Unrecognized pair style 'pace' is part of the ML-PACE package which is not enabled (src/force.cpp:275)\n"


@pytest.fixture
def frames():
    atoms = bulk('Cu', a=3.6, cubic=True)
    atoms.positions += np.random.default_rng(0).normal(0, 0.05, (4, 3))
    atoms.info.update(config_type='property_vacancy', origin='{}')
    return FramesData.from_atoms([atoms]).store()


@pytest.fixture
def given(frames, fake_potential, worker_code):
    return {
        'potential': fake_potential,
        'frames': frames,
        'settings': orm.Dict(NPT.to_mapping()),
        'worker_code': worker_code,
    }


def worker(make, frames):
    report = orm.Dict({'averages': [{'volume': 1.0}]})
    return make(outputs={'ends': FramesData(frames.frames), 'report': report})


def lost(make, text=NO_PACE, message='LAMMPS emitted an error'):
    folder = orm.FolderData()
    folder.base.repository.put_object_from_bytes(text.encode(), 'lammps.out')
    return make(outputs={'retrieved': folder}, status=309, message=message)


def test_without_a_code_of_lmp_it_is_the_worker(walk, fake_process, given, frames):
    found = walk(SimulateWorkChain, lambda *_: worker(fake_process, frames), **given)
    assert found.names == ['SimulateCalculation']
    assert set(found.outputs) == {'ends', 'report'}


@pytest.mark.parametrize(('lacks', 'names'), [(True, ['SimulateCalculation']), (False, ['LammpsRawCalculation'])])
def test_the_pair_style_decides(walk, fake_process, given, monkeypatch, lacks, names):
    monkeypatch.setattr(module, 'lacks_pair_styles', lambda *_: lacks)
    given['lammps_code'], frames = given['worker_code'], given['frames']
    found = walk(
        SimulateWorkChain,
        lambda p, _: lost(fake_process, 'cut', 'broke') if 'Raw' in p.__name__ else worker(fake_process, frames),
        **given,
    )
    assert found.names == names
    assert found.label == ('' if lacks else 'ERROR_SIMULATION_FAILED')


def test_what_nobody_can_say_is_tried(walk, fake_process, given, frames, monkeypatch, worker_code):
    monkeypatch.setattr(module, 'lacks_pair_styles', lambda *_: None)
    given['lammps_code'] = worker_code
    found = walk(
        SimulateWorkChain, lambda p, _: lost(fake_process) if 'Raw' in p.__name__ else worker(fake_process, frames), **given
    )
    assert found.names == ['LammpsRawCalculation', 'SimulateCalculation']
    assert found.exit_code is None
    assert set(found.outputs) == {'ends', 'report'}


def test_output_that_cannot_be_read(walk, fake_process, given, monkeypatch, worker_code):
    monkeypatch.setattr(module, 'lacks_pair_styles', lambda *_: False)
    given['lammps_code'] = worker_code
    folder = orm.FolderData()
    folder.base.repository.put_object_from_bytes(b'nothing\n', 'lammps.out')
    found = walk(SimulateWorkChain, lambda *_: fake_process(outputs={'retrieved': folder}), **given)
    assert found.label == 'ERROR_SIMULATION_FAILED'
    assert 'LAMMPS ended after 0 of 1 structures' in found.exit_code.message


def test_a_worker_that_fails(walk, fake_process, given):
    found = walk(SimulateWorkChain, lambda *_: fake_process(status=410, message='it broke'), **given)
    assert found.label == 'ERROR_SIMULATION_FAILED'
    assert found.exit_code.message == 'The simulation failed: it broke'


def test_what_lammps_gets(walk, fake_process, given, monkeypatch, worker_code):
    monkeypatch.setattr(module, 'lacks_pair_styles', lambda *_: False)
    given['lammps_code'] = worker_code
    found = walk(SimulateWorkChain, lambda *_: lost(fake_process, 'cut'), **given)
    ((_, values),) = found.submitted
    assert sorted(node.filename for node in values['files'].values()) == ['model.pod', 'param.pod', 'start_000.data']
    assert values['settings']['additional_retrieve_list'] == ['end_000.dump']
    assert 'fix ensemble all npt' in values['script'].get_content()


@pytest.mark.lammps
class TestReal:
    @pytest.fixture(scope='class')
    def both(self, fitted, worker_code, lmp_code):
        """The same relaxation by aiida-lammps and by the worker."""
        atoms = bulk('Cu', a=3.6, cubic=True)
        atoms.positions += np.random.default_rng(0).normal(0, 0.05, (4, 3))
        frames = FramesData.from_atoms([atoms, bulk('Au', a=4.0, cubic=True)])
        nodes = []
        for codes in ({'lammps_code': lmp_code}, {}):
            _, node = run_get_node(
                SimulateWorkChain,
                potential=fitted.outputs.potential,
                frames=frames,
                settings=orm.Dict(RELAX.to_mapping()),
                worker_code=worker_code,
                **codes,
            )
            assert node.is_finished_ok, node.exit_message
            nodes.append(node)
        return nodes

    def test_each_ran_in_its_program(self, both):
        jobs = [[child.process_label for child in node.called if isinstance(child, orm.CalcJobNode)] for node in both]
        assert jobs == [['LammpsRawCalculation'], ['SimulateCalculation']]

    def test_they_agree(self, both):
        raw, worker_ = (node.outputs for node in both)
        for ours, theirs in zip(raw.report['averages'], worker_.report['averages'], strict=True):
            assert ours['energy'] == pytest.approx(theirs['energy'], abs=1e-4)
            assert ours['volume'] == pytest.approx(theirs['volume'])
        for ours, theirs in zip(raw.ends.frames, worker_.ends.frames, strict=True):
            away = (ours.get_scaled_positions() - theirs.get_scaled_positions() + 0.5) % 1 - 0.5
            assert np.abs(away - away.mean(axis=0)).max() < 1e-3

    def test_the_stock_lammps_has_no_pace(self, lmp_code, potential_folder):
        lines = ('pair_style pace product', 'pair_coeff * * output_potential.yace Cu Au')
        pace = PotentialData.from_folder(potential_folder(engine='pace', pair_lines=lines))
        assert module.lacks_pair_styles(lmp_code, pace.record.pair_lines) is True
        assert module.lacks_pair_styles(lmp_code, ('pair_style pod', 'pair_coeff * *')) is False

    def test_a_user_goes_on_with_aiida_lammps(self, fitted, lmp_code, monkeypatch, capsys):
        monkeypatch.setattr(sys, 'argv', ['continue_with_aiida_lammps.py', str(fitted.outputs.potential.pk), '200'])
        node = runpy.run_path(str(EXAMPLES / 'continue_with_aiida_lammps.py'))['node']
        assert node.is_finished_ok, node.exit_message
        assert f'lammps.raw {node.pk}: finished' in capsys.readouterr().out
        assert node.inputs.code.pk == lmp_code.pk
