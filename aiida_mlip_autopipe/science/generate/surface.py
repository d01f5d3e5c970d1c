"""Slabs: surfaces of an alloy by Miller index, with steps and adatoms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.build import surface
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.common.composition import nearest_composition, whole_counts
from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.generate.ideal_lattices import conventional_cell
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.sqs import shuffled
from aiida_mlip_autopipe.science.generate.strategy import Kind, Occupation, Slot, Strategy, System

CONFIG_TYPE = 'surface'

SUBLATTICE = 'sublattice'
"""Array of the sites that says which sublattice each is on; ASE's own tags become numbers of layers."""

Miller = tuple[int, int, int]


class Surfaces(Strategy):
    """Slabs of each alloy, its elements shuffled on the sites.

    Miller indices refer to the cubic cell, or to the primitive cell of hcp. The composition of a slab is the nearest of whole
    atoms.
    """

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    HAS_VACUUM = True
    IS_BULK = False
    ORDER = 10

    millers: tuple[Miller, ...] = Field(
        default=((1, 0, 0), (1, 1, 0), (1, 1, 1)),
        min_length=1,
        description='Miller indices of the cubic cell (hcp: primitive)',
    )
    layers: PositiveInt = Field(default=3, description='thickness in periods along the normal')
    thickness: PositiveFloat | None = Field(default=None, description='Å; with it as many periods as are at least as thick')
    repeat: tuple[PositiveInt, PositiveInt] = Field(default=(1, 1), description='repeats in the plane')
    vacuum: PositiveFloat = Field(default=12.0, description='Å between the slab and its image')
    per_alloy: NonNegativeInt = Field(default=1, description='flat slabs of each Miller index and alloy')
    adatoms: NonNegativeInt = Field(default=0, description='slabs of each with one more atom')
    steps: NonNegativeInt = Field(default=0, description='slabs of each with half of the top layer missing')

    @model_validator(mode='after')
    def check_millers(self) -> Self:
        """Refuse the plane that is none."""
        if any(not any(miller) for miller in self.millers):
            raise ValueError(f'millers must not be (0, 0, 0), got {[list(miller) for miller in self.millers]}')
        return self

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the slabs of each alloy."""
        for occupation in given.alloys:
            cell = conventional_cell(given.prototype, occupation, given.lattice_parameters)
            for miller in self.millers:
                layers = self._layers(cell.lattice, miller)
                slot = self._slab(cell, miller, layers)
                for kind, count in (('flat', self.per_alloy), ('adatom', self.adatoms), ('step', self.steps)):
                    for _ in range(count):
                        yield self._decorated(slot, kind, {'miller': list(miller), 'layers': layers}, rng)

    def _slab(self, cell: Slot, miller: Miller, layers: int) -> Slot:
        """Return the bare slab, its sites labelled by sublattice."""
        marked = cell.lattice.copy()
        marked.set_array(SUBLATTICE, cell.sublattices)
        slab = surface(marked, miller, layers, vacuum=self.vacuum / 2, periodic=True).repeat((*self.repeat, 1))
        labels = slab.get_array(SUBLATTICE)
        occupation = tuple(
            nearest_composition(part, max(int((labels == index).sum()), 1)) for index, part in enumerate(cell.occupation)
        )
        return Slot(slab, labels, occupation)

    def _layers(self, cell: Atoms, miller: Miller) -> int:
        if self.thickness is None:
            return self.layers
        period = surface(cell, miller, 1, periodic=True)
        height = period.get_volume() / np.linalg.norm(np.cross(period.cell.array[0], period.cell.array[1]))
        return max(1, int(np.ceil(self.thickness / height - 1e-6)))

    def _decorated(self, slot: Slot, kind: str, told: dict[str, Any], rng: np.random.Generator) -> Atoms:
        numbers = _numbers(slot.sublattices, slot.occupation, slot, rng)
        atoms = fresh_atoms(slot.lattice, CONFIG_TYPE, '', numbers=numbers)
        changes = {'flat': _unchanged, 'adatom': _with_adatom, 'step': _with_step}
        columns = changes[kind](atoms, rng)
        return fresh_atoms(atoms, CONFIG_TYPE, origin_text('surface', **told, vacuum=self.vacuum, top=kind), **columns)


def _numbers(labels: IntArray, occupation: Occupation, slot: Slot, rng: np.random.Generator) -> IntArray:
    counts = [whole_counts(part, int((labels == index).sum())) for index, part in enumerate(occupation)]
    return shuffled(slot, counts, rng)


def _unchanged(atoms: Atoms, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {}


def _with_adatom(atoms: Atoms, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the columns with one more atom, above a random point of the plane at the distance of the nearest neighbours."""
    distances = atoms.get_all_distances(mic=True)
    np.fill_diagonal(distances, np.inf)
    nearest = float(distances.min()) if len(atoms) > 1 else float(np.linalg.norm(atoms.cell.array[0]))
    scaled = np.array([*rng.random(2), 0.0]) @ atoms.cell.array
    normal = np.cross(atoms.cell.array[0], atoms.cell.array[1])
    normal /= np.linalg.norm(normal)
    top = float((atoms.positions @ normal).max())
    place = scaled + normal * (top + nearest - scaled @ normal)
    return {
        'numbers': np.append(atoms.numbers, rng.choice(atoms.numbers)),
        'positions': np.vstack([atoms.positions, place]),
    }


def _with_step(atoms: Atoms, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the columns without one half of the atoms of the top layer: those on one side of it."""
    heights = atoms.positions @ np.cross(atoms.cell.array[0], atoms.cell.array[1])
    top = np.flatnonzero(heights > heights.max() - 1e-3 * np.ptp(heights) - 1e-9)
    along = (atoms.get_scaled_positions()[top, 0] + rng.random()) % 1.0
    gone = top[np.argsort(along, kind='stable')[: len(top) // 2]] if len(top) > 1 else top
    if len(gone) == len(atoms):
        gone = gone[:-1]
    return {'numbers': np.delete(atoms.numbers, gone), 'positions': np.delete(atoms.positions, gone, axis=0)}
