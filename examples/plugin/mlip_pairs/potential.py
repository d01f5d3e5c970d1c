"""The potential, V(r) = sum_n c_n (r^-n - cutoff^-n), as a table that LAMMPS runs; its grade comes from the sums of each atom."""

from functools import partial

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.engines.lammps.engine import Engine
from aiida_mlip_autopipe.engines.lammps.forces import PairForces, require_style
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet

TABLE, ACTIVE_SET, POINTS, INNER, N = 'pairs.table', 'active_set.npz', 4000, 0.5, np.array([6.0, 8.0, 10.0, 12.0])


def functions(distance, cutoff):
    return distance[:, None] ** -N - cutoff**-N, -N * distance[:, None] ** (-N - 1)


def rows(atoms, cutoff):
    """Return the sums of each atom, shape (n_atoms, 4), and rows of the forces, shape (3 n_atoms, 4)."""
    first, distance, vector = neighbor_list('idD', atoms, cutoff)
    value, slope = functions(distance, cutoff)
    sums, forces = np.zeros((len(atoms), len(N))), np.zeros((len(atoms), 3, len(N)))
    np.add.at(sums, first, value)
    np.add.at(forces, first, (slope / distance[:, None])[:, None, :] * vector[:, :, None])
    return sums, forces.reshape(-1, len(N))


def write_table(folder, coefficients, cutoff):
    """Write the table and return the LAMMPS lines that load it."""
    distance = np.linspace(INNER, cutoff, POINTS)
    value, slope = (part @ coefficients for part in functions(distance, cutoff))
    lines = [f'{k + 1} {r:.15g} {e:.15g} {-f:.15g}' for k, (r, e, f) in enumerate(zip(distance, value, slope, strict=True))]
    (folder / TABLE).write_text('\n'.join(['PAIRS', f'N {POINTS}', '', *lines, '']), encoding='utf-8')
    return f'pair_style table spline {POINTS}', f'pair_coeff * * {TABLE} PAIRS {cutoff}'


class GradedForces(PairForces):
    """The table, and the grade."""

    def __init__(self, system, potential):
        super().__init__(system, potential.pair_lines)
        self._cutoff, self._active = potential.cutoff, ActiveSet.load(potential.active_set)

    def attach(self, kinds):
        super().attach(kinds)
        self._kinds = np.asarray(kinds)

    def grade(self):
        now = Atoms(positions=self.system.atom_column('x'), cell=self.system.cell(), pbc=True)
        return self._active.grade(rows(now, self._cutoff)[0], self._kinds)


def forces(system, potential, every):
    return GradedForces(system, potential) if every else PairForces(system, potential.pair_lines)


def atom_rows(frames, potential, folder):
    return np.concatenate([np.column_stack([np.ones(len(a)), rows(a, potential.cutoff)[0]]) for a in frames])


def design_rows(potential, folder, n_coefficients):
    raise InputError('potentials of pairs.table come without a posterior')


ENGINE = Engine(forces=forces, require=partial(require_style, 'table'), atom_rows=atom_rows, design_rows=design_rows)
