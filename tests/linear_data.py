"""A linear potential of pair functions that needs neither LAMMPS nor pyace, and frames that it labels."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.science.checks.wall import WallPath
from aiida_mlip_autopipe.science.linear.rows import DesignRows
from tests.pod_data import CUTOFF, ELEMENTS, REFERENCES, training_frames

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
NOISE = {'energy': 0.003, 'force': 0.02, 'stress': 3e-4}
"""Of E/√N (eV/√atom), of a force component (eV/Å) and of a stress component (eV/Å³)."""


class PairSource:
    """Energy of an atom of an element: 1/2 sum over its neighbours of c_k (1 - r/cutoff)^(k + 2), k = 0, 1, ..."""

    def __init__(self, n_functions: int = 4, *, with_one_body: bool = False, wall: float = 0.0) -> None:
        self.n_functions, self.cutoff = n_functions, CUTOFF
        self._with_one_body, self._wall = with_one_body, wall
        self.calls = 0

    @property
    def one_body(self) -> IntArray:
        return 2 * self.n_functions + np.arange(2 if self._with_one_body else 0)

    @property
    def roughness(self) -> FloatArray:
        return np.ones(2 * self.n_functions + len(self.one_body))

    def design(self, atoms: Atoms, *, with_stress: bool = True) -> DesignRows:
        self.calls += 1
        kinds = np.array([ELEMENTS.index(symbol) for symbol in atoms.symbols])
        first, second, r, between = neighbor_list('ijdD', atoms, self.cutoff)
        powers, share = 2 + np.arange(self.n_functions), 1 - r[:, None] / self.cutoff
        n_columns = 2 * self.n_functions + len(self.one_body)
        descriptors = np.zeros((len(atoms), self.n_functions))
        np.add.at(descriptors, first, 0.5 * share**powers)
        energy, slopes = np.zeros(n_columns), np.zeros((len(r), 3, n_columns))
        slope = -0.5 * powers * share ** (powers - 1) / self.cutoff
        for kind in range(2):
            block = slice(kind * self.n_functions, (kind + 1) * self.n_functions)
            energy[block] = descriptors[kinds == kind].sum(axis=0)
            own = kinds[first] == kind
            slopes[own, :, block] = slope[own][:, None, :] * (between / r[:, None])[own][:, :, None]
        energy[self.one_body] = np.bincount(kinds, minlength=2)[: len(self.one_body)]
        forces = np.zeros((len(atoms), 3, n_columns))
        np.add.at(forces, first, slopes)
        np.add.at(forces, second, -slopes)
        tensor = np.einsum('pa,pbc->abc', between, slopes) / atoms.cell.volume
        stress = np.array([tensor[a, b] for a, b in VOIGT]) if with_stress else None
        return DesignRows(energy, forces.reshape(3 * len(atoms), n_columns), stress, descriptors, kinds)

    def core_energies(self, path: WallPath) -> FloatArray:
        return self._wall * (path.distances[0] - path.distances)


TRUTH = np.array([2.0, -9.0, 30.0, 5.0, 3.0, -12.0, 40.0, 2.0])
BASE = np.array([REFERENCES[element] for element in ELEMENTS])


def labelled_frames(n_frames: int = 30, seed: int = 0, *, noise: float = 1.0, coefficients: FloatArray = TRUTH) -> Frames:
    """Return frames whose labels are those of the coefficients over the isolated atoms, with Gaussian noise."""
    rng = np.random.default_rng(seed + 100)
    frames, source = training_frames(n_frames, seed), PairSource(len(coefficients) // 2)
    energy, forces, stress = np.zeros(n_frames), np.zeros_like(frames.forces), np.zeros((n_frames, 6))
    for index, atoms in enumerate(frames):
        design = source.design(atoms)
        errors = [
            noise * NOISE[name] * rng.normal(size=shape)
            for name, shape in (('energy', ()), ('force', 3 * len(atoms)), ('stress', 6))
        ]
        energy[index] = design.energy @ coefficients + BASE[design.types].sum() + np.sqrt(len(atoms)) * errors[0]
        forces[frames.rows(index)] = (design.forces @ coefficients + errors[1]).reshape(-1, 3)
        stress[index] = design.stress @ coefficients + errors[2]
    return frames.replace(energy=energy, forces=forces, stress=stress)
