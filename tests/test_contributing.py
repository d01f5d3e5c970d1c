"""The how-tos of CONTRIBUTING.md: each block of Python runs, and does what the page says."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.engine import Engine
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.generate import settings
from aiida_mlip_autopipe.science.selection.d_optimal import AtomRows
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from aiida_mlip_autopipe.testing import conforming_settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
BLOCKS = re.findall(r'^```python\n(.*?)^```', PAGE, re.MULTILINE | re.DOTALL)


def named(name: str) -> Any:
    """Return what a block of the page calls so."""
    (block,) = [block for block in BLOCKS if re.search(rf'^(class|def) {name}\b|^{name} = ', block, re.MULTILINE)]
    found: dict[str, Any] = {}
    exec(compile(block, 'CONTRIBUTING.md', 'exec', dont_inherit=True), found)
    return found[name]


def test_each_group_of_the_package_is_in_the_table():
    groups = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['entry-points']
    assert [group for group in groups if group.startswith('mlip_autopipe.') and f'| `{group}` |' not in PAGE] == []


def test_strategy():
    strategy = named('Doubled')
    settings._check('mypackage.doubled', strategy)
    given = bulk('Cu', cubic=True)
    (double,) = strategy(axis=1)(given, np.random.default_rng(0))
    np.testing.assert_allclose(double.cell.lengths(), given.cell.lengths() * [1, 2, 1])
    assert double.info['config_type'] in strategy.CONFIG_TYPES
    assert json.loads(double.info['origin']) == {'axis': 1}


def test_descriptor():
    features = named('composition_and_volume')
    frames = Frames.from_atoms([bulk('Cu'), Atoms('CuAu', positions=[[0, 0, 0], [2, 0, 0]], cell=[4, 4, 4], pbc=True)])
    expected = [[1, 0, bulk('Cu').cell.volume], [0.5, 0.5, 32]]
    np.testing.assert_allclose(features(frames, elements=['Cu', 'Au'], cutoff=4.5), expected)
    assert features([], elements=['Cu', 'Au'], cutoff=4.5).shape == (0, 3)


def test_selector():
    pick = named('farthest_from_the_mean')
    assert pick(np.array([[0.0], [1.0], [9.0]]), 2).tolist() == [2, 0]


@pytest.mark.parametrize(('runs', 'expected'), [(['a', 'a', 'b'], [0, 2]), (None, [0, 1])])
def test_atom_selector(runs: list[str] | None, expected: list[int]):
    rows = np.array([[9.0, 0.0], [0.0, 9.0], [0.0, 8.0], [0.5, 0.5], [0.1, 0.1], [1.0, 1.0]])
    candidates = AtomRows(rows, np.zeros(6, dtype=np.int64), np.array([2, 2, 2]))
    picked = named('no_two_of_one_run')(candidates, 2, trajectories=runs)
    assert picked.tolist() == expected


def test_trainer():
    kind = named('LennardJonesTrainer')
    conforming_settings(kind, {})
    assert (kind().name, kind().ridge) == ('mypackage.lj', 1e-6)


def test_labeller():
    kind = named('MorseLabeller')
    conforming_settings(kind, {'code': 'a@b'})
    assert kind(code='a@b').name == 'mypackage.label'


def test_explorer():
    kind = named('GentleMd')
    conforming_settings(kind, {})
    assert (kind().name, kind.ENGINES) == ('mypackage.gentle', ('mypackage.lj',))


def test_check():
    kind = named('Small')
    conforming_settings(kind, {'most': 2.0})
    frames = Frames.from_atoms([bulk('Cu')])
    found = SimpleNamespace(forces=np.array([[0.0, -3.0, 0.0]]))
    assert [kind(most=most).findings(frames, lambda _: found)[0].passed for most in (2.0, 4.0)] == [False, True]


def test_property():
    kind = named('Squeezed')
    conforming_settings(kind, {'factor': 0.9})
    crystal = SimpleNamespace(atoms=bulk('Cu'))
    small = kind(factor=0.9).frames(crystal)['squeezed']
    assert small.cell.volume == pytest.approx(0.9**3 * bulk('Cu').cell.volume)
    (found,) = kind().quantities(crystal, {'rest': SimpleNamespace(energy=-3.0), 'squeezed': SimpleNamespace(energy=-2.5)})
    assert (found.value, kind(error=0.2).limit(found).allowed(9.0)) == (0.5, 0.2)


@pytest.mark.lammps
def test_engine(tmp_path: Path):
    engine, sums = named('ENGINE'), named('pair_sums')
    assert isinstance(engine, Engine)
    engine.require()
    crystal = bulk('Cu', cubic=True) * (2, 2, 2)
    crystal.rattle(0.05, seed=0)
    ActiveSet.fit(sums(crystal, 5.0), np.zeros(len(crystal), dtype=np.int64)).save(tmp_path / 'active.npz')
    lines = ('pair_style lj/cut 5.0', 'pair_coeff 1 1 0.4 2.3')
    potential = LammpsPotential(('Cu',), lines, 5.0, ('none',), tmp_path / 'active.npz', 'mypackage.lj')
    with LammpsSystem(('Cu',), package=None) as system:
        kinds = system.load(crystal, [])
        source = engine.forces(system, potential, 10)
        source.attach(kinds)
        system.predict()
        assert source.grade().max() == pytest.approx(1.0, abs=0.02)
        kinds = system.load(bulk('Cu', cubic=True, a=3.2) * (2, 2, 2), [])
        source.attach(kinds)
        system.predict()
        assert source.grade().min() > 2
        with pytest.raises(InputError, match='without its grade'):
            engine.forces(system, potential, 0).grade()
    rows = engine.atom_rows(Frames.from_atoms([crystal]), potential, tmp_path)
    np.testing.assert_allclose(rows, np.column_stack([np.ones(len(crystal)), sums(crystal, 5.0)]))
    with pytest.raises(InputError, match='without a posterior'):
        engine.design_rows(potential, tmp_path, 3)
