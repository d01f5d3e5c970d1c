"""`AceRows`: the rows of linear ACE, from the derivatives of the basis functions that pyace's C++ evaluator gives.

The energy row is the sum of the functions ("projections") of the atoms of an element, in the block of that element. For forces
and virial together each periodic image is given to the evaluator as an atom of its own, whose list of neighbours is empty. Then
the derivative with respect to each image k is known, the force on an atom is the sum over its images, and the virial is
V = -Σ_k x_k ⊗ f_k, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from ase import Atoms
from scipy.sparse import csr_array

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray
from aiida_mlip_autopipe.engines.ace.basis import functions_per_element
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_YACE, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.library import pyace_module
from aiida_mlip_autopipe.engines.lammps.library import kinds_of
from aiida_mlip_autopipe.science.checks.wall import WallPath
from aiida_mlip_autopipe.science.linear.rows import DesignRows

_ROW: Final = [0, 1, 2, 1, 0, 0]
_COLUMN: Final = [0, 1, 2, 2, 2, 1]
"""Places of Voigt's order in a tensor: xx, yy, zz, yz, xz, xy."""


class AceRows:
    """Rows of the linear model of a basis.

    :param configuration: of the basis in pyace's form; with coefficients they do not matter.
    :param elements: chemical symbols in the order of the potential.
    :param with_one_body: whether there is a column for the energy of an atom of each element, behind the others.
    :raises InputError: the elements differ in their number of functions.
    """

    def __init__(self, configuration: Any, elements: Sequence[str], *, with_one_body: bool) -> None:
        self._pyace = pyace_module()
        self.elements = tuple(elements)
        # The calculator keeps no reference to the evaluator, nor that one to the basis: all three must live.
        self._basis = self._pyace.ACEBBasisSet(configuration)
        self._basis.basis_coeffs = [0.0] * len(self._basis.basis_coeffs)
        self._evaluator = self._pyace.ACEBEvaluator(self._basis)
        self._calculator = self._pyace.ACECalculator(self._evaluator)
        self._mapping = self._basis.elements_to_index_map
        self.cutoff = float(self._basis.cutoffmax)
        self.per_element = _common(functions_per_element(self._basis))
        self._with_one_body = with_one_body

    @classmethod
    def of_file(cls, path: Path, elements: Sequence[str], *, with_one_body: bool = False) -> Self:
        """Return the rows of the basis of a potential in the B-basis.

        :raises FormatError: pyace cannot read the file.
        """
        try:
            configuration = pyace_module().BBasisConfiguration(str(path))
        except (RuntimeError, ValueError) as error:
            raise FormatError(f'{path.name}: not a potential in the B-basis: {error}') from error
        return cls(configuration, elements, with_one_body=with_one_body)

    @property
    def n_functions(self) -> int:
        """Functions of all elements together."""
        return self.per_element * len(self.elements)

    @property
    def one_body(self) -> IntArray:
        """Columns of the energy of an atom without neighbours, by element; none where it is fixed."""
        return self.n_functions + np.arange(len(self.elements) if self._with_one_body else 0)

    @property
    def roughness(self) -> FloatArray:
        """2^(r-1) Σ(n + l) of each function, r the number of neighbours that it correlates, n and l its indices; 1 for others.

        Evidence and errors on unseen frames both prefer it to a prior that does not tell functions apart (docs/train.md).
        """
        functions = [f for pair in zip(self._basis.basis_rank1, self._basis.basis, strict=True) for part in pair for f in part]
        own = [2.0 ** (function.rank - 1) * (sum(function.ns) + sum(function.ls)) for function in functions]
        return np.array([*own, *np.ones(len(self.one_body))])

    def columns_of(self, element: str) -> slice:
        """Return the columns of the functions of an element."""
        start = self._mapping[element] * self.per_element
        return slice(start, start + self.per_element)

    def design(self, atoms: Atoms, *, with_stress: bool = True) -> DesignRows:
        """Return the rows of the linear model for energy, forces and stress of a periodic structure."""
        kinds = kinds_of(atoms, self.elements)
        environment = self._environment(atoms)
        origins, places = np.array(environment.origins), np.array(environment.x)
        if with_stress:
            environment = self._with_images_apart(environment, len(atoms))
        self._calculator.compute(environment, compute_projections=True, compute_b_grad=True)
        descriptors, energy = self._energy_row(kinds)
        gradients = np.array(self._calculator.forces_bfuncs)  # (atom, function, component)
        stress = None
        if with_stress:
            virial = -np.tensordot(places, gradients, axes=(0, 0)).transpose(0, 2, 1)  # by BLAS: einsum took half of the time
            stress = self._padded(virial[_ROW, _COLUMN] / atoms.cell.volume)
            sums = csr_array((np.ones(len(origins)), (origins, np.arange(len(origins)))), shape=(len(atoms), len(origins)))
            gradients = (sums @ gradients.reshape(len(origins), -1)).reshape(len(atoms), *gradients.shape[1:])
        forces = self._padded(gradients.transpose(0, 2, 1).reshape(3 * len(atoms), -1))
        return DesignRows(energy, forces, stress, descriptors, kinds)

    def save(self, coefficients: FloatArray, folder: Path) -> None:
        """Write the potential of these coefficients, eV, shape (n_functions,), as B-basis and in its fast form."""
        basis = self._pyace.ACEBBasisSet(self._basis.to_BBasisConfiguration())
        basis.basis_coeffs = coefficients.tolist()
        basis.to_BBasisConfiguration().save(str(folder / POTENTIAL_YAML))
        # from the file, so that the fast form is that of the digits that were written
        self._pyace.ACEBBasisSet(str(folder / POTENTIAL_YAML)).to_ACECTildeBasisSet().save_yaml(str(folder / POTENTIAL_YACE))

    def core_energies(self, path: WallPath) -> FloatArray:
        """Return the energy of the core along a path of two approaching atoms, eV, shape (n_points,)."""
        energies = []
        for atoms in path.structures:
            self._calculator.compute(self._environment(atoms), compute_projections=False)
            energies.append(float(self._calculator.energy))  # all coefficients are 0
        return np.array(energies)

    def _environment(self, atoms: Atoms) -> Any:
        return self._pyace.aseatoms_to_atomicenvironment(atoms, cutoff=self.cutoff, elements_mapper_dict=self._mapping)

    def _with_images_apart(self, environment: Any, n_atoms: int) -> Any:
        n_all = len(environment.x)
        apart = self._pyace.ACEAtomicEnvironment()
        apart.x = environment.x
        apart.species_type = environment.species_type
        apart.neighbour_list = [*environment.neighbour_list, *([] for _ in range(n_all - n_atoms))]
        apart.origins = list(range(n_all))
        return apart

    def _energy_row(self, kinds: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the functions of each atom, shape (n_atoms, functions per element), and the energy row."""
        descriptors = np.array(self._calculator.projections[: len(kinds)])
        energy = np.zeros(self.n_functions + len(self.one_body))
        for kind, element in enumerate(self.elements):
            energy[self.columns_of(element)] = descriptors[kinds == kind].sum(axis=0)
        energy[self.one_body] = np.bincount(kinds, minlength=len(self.elements))[: len(self.one_body)]
        return descriptors, energy

    def _padded(self, rows: FloatArray) -> FloatArray:
        """Return rows of forces or stresses with the columns of the one-body energies, of which they know nothing."""
        if not self._with_one_body:
            return rows
        return np.hstack([rows, np.zeros((len(rows), len(self.elements)))])


def _common(counts: IntArray) -> int:
    """Return the number of functions that all elements have; pyace mixes the derivatives of blocks of unequal size up."""
    if len(found := set(counts.tolist())) != 1:
        raise InputError(f'the elements of the basis have {counts.tolist()} functions; rows need the same number for each')
    return int(found.pop())
