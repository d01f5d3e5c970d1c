"""Grades by engine; EAM's density takes the place of ACE's grade, which comes out of LAMMPS by the same `fix pair`."""

from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.common.engines import PACE, POD
from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.pacemaker import ACTIVE_SET, grade_lines, pair_lines
from aiida_mlip_autopipe.science import grades
from aiida_mlip_autopipe.science.checks.nve import NveSettings, run_nve
from aiida_mlip_autopipe.science.grades import GRADE_FIX, GRADE_SOURCES, GradeSource, grade_source, guard_of, require_known
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.science.pod.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.pod.guards import require_usable
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
    """ACE's entry with the density of EAM in place of gamma."""
    source = GRADE_SOURCES[PACE]

    def lines(potential):
        return [line.replace('pace/extrapolation gamma 1', 'eam/alloy rho 0') for line in source.lines(potential)]

    monkeypatch.setattr(grades, 'GRADE_SOURCES', MappingProxyType({PACE: GradeSource(source.guard, lines, source.reader)}))


def defective():
    """Return a crystal with a vacancy, whose atoms differ in density."""
    atoms = bulk('Al', cubic=True, a=4.05) * 2
    del atoms[3]
    atoms.rattle(0.05, seed=1)
    return atoms


def test_the_lines_of_ace_replace_the_fast_form():
    assert grade_source(PACE).lines(ACE) == [
        'pair_style pace/extrapolation',
        'pair_coeff * * output_potential.yaml output_potential.asi Al',
        'fix gam all pair 1 pace/extrapolation gamma 1',
    ]


def test_the_lines_of_pod_are_added():
    pod = LammpsPotential(('Al',), ('pair_style pod',), 5.0, ('compute grade all pod/atom',), Path('x'))
    assert pod.engine == POD
    assert grade_source(POD).lines(pod) == ['pair_style pod', 'compute grade all pod/atom']
    with pytest.raises(InputError, match='needs its active set'):
        grade_source(POD).reader(LammpsPotential(('Al',), (), 5.0))


def test_an_engine_without_an_entry_is_named():
    with pytest.raises(EngineError, match=r"engine: got 'snap'; how LAMMPS gives its grade is known of pod, pace"):
        grade_source('snap')


class TestGuards:
    ALONE = Frames.from_atoms([Atoms('Al', cell=[20.0] * 3, pbc=True)])

    def test_ace_takes_an_atom_alone_and_pod_does_not(self):
        guard_of(PACE)(self.ALONE, ('Al',), 6.0)
        for engine in (POD, 'snap'):
            assert guard_of(engine) is require_usable
            with pytest.raises(InputError, match='no neighbour'):
                guard_of(engine)(self.ALONE, ('Al',), 6.0)

    def test_an_unknown_element_is_refused(self):
        with pytest.raises(InputError, match=r'^frame 0: elements .*Al'):
            require_known(self.ALONE, ('Cu',), 6.0)


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
            system.load(defective(), [*grades.grade_source(PACE).lines(eam()), f'compute total all reduce sum f_{GRADE_FIX}'])
            system.predict()
            assert system.atom_fix(GRADE_FIX).sum() == pytest.approx(system.scalar('total'), rel=1e-9)

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

    def test_without_ml_pace_the_package_is_named(self):
        with pytest.raises(InstallationError, match=r'no pair style pace/extrapolation.*without the package ML-PACE'):
            evaluate_frames(Frames.from_atoms([defective()]), ACE)
