"""Stacking faults: half a crystal slides along the gamma line of the close-packed plane."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Final

import numpy as np
from ase import Atoms
from ase.build import fcc111, hcp0001
from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.common.composition import nearest_composition, whole_counts
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.generate.ideal_lattices import IDEAL_C_OVER_A, vegard_parameter
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.sqs import shuffled
from aiida_mlip_autopipe.science.generate.strategy import Kind, Occupation, Slot, Strategy, System

CONFIG_TYPE = 'stacking_fault'

PERIODS: Final = {'fcc': 3, 'hcp': 2}
"""Layers after which the stacking of the close-packed planes repeats."""


class StackingFaults(Strategy):
    """Periodic crystals with one fault each, of each alloy: all atoms stay, the cell's third vector slides in the plane.

    The slide goes from the perfect crystal (0) along the partial Burgers vector a/6<112> of fcc (a/3<1-100> of hcp), which is
    1; slides above 1 lead on to the summit where atoms sit on top of each other, 2.
    """

    KIND: ClassVar[Kind] = Kind.FREE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    IS_BULK = False
    ORDER = 11

    count: PositiveInt = Field(default=4, description='slides, evenly spaced, without 0')
    longest: float = Field(
        default=1.0, gt=0, le=3, description='last slide in units of the partial Burgers vector, dimensionless'
    )
    layers: int = Field(default=6, ge=4, description='close-packed planes in the cell: a multiple of 3 for fcc, of 2 for hcp')
    repeat: tuple[PositiveInt, PositiveInt] = Field(default=(1, 1), description='repeats in the plane')

    def __call__(self, given: System, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield the faults of each alloy, its elements shuffled once for the whole line.

        :raises InputError: the prototype has no close-packed planes, or the layers do not close its stacking.
        """
        if given.prototype not in PERIODS:
            raise InputError(f'stacking_fault: prototype must be fcc or hcp, got {given.prototype!r}')
        if self.layers % PERIODS[given.prototype]:
            raise InputError(
                f'stacking_fault: layers: got {self.layers}; {given.prototype} needs a multiple of {PERIODS[given.prototype]}'
            )
        for occupation in given.alloys:
            perfect = self._perfect(given, occupation)
            counts = [whole_counts(nearest_composition(occupation[0], len(perfect)), len(perfect))]
            slot = Slot(perfect, np.zeros(len(perfect), dtype=np.int64), occupation)
            numbers = shuffled(slot, counts, rng)
            for slide in np.linspace(0.0, self.longest, self.count + 1)[1:].tolist():
                cell = perfect.cell.array.copy()
                cell[2] += slide * partial_vector(perfect, self.repeat)
                told = origin_text('stacking_fault', slide=round(slide, 6), layers=self.layers, prototype=given.prototype)
                yield fresh_atoms(perfect, CONFIG_TYPE, told, numbers=numbers, cell=cell)

    def _perfect(self, system: System, occupation: Occupation) -> Atoms:
        """Return the crystal with close-packed planes normal to z, filling its cell."""
        a = vegard_parameter(occupation, system.lattice_parameters, system.prototype)
        size = (*self.repeat, self.layers)
        symbol = next(element for element, fraction in occupation[0].items() if fraction > 0)
        if system.prototype == 'fcc':
            return fcc111(symbol, size, a=a, periodic=True)
        return hcp0001(symbol, size, a=a, c=IDEAL_C_OVER_A * a, periodic=True)


def partial_vector(perfect: Atoms, repeat: tuple[int, int]) -> np.ndarray:
    """Return the slide from one hollow of the close-packed plane to the next that the stacking of `perfect` allows, Å.

    With the hexagonal vectors a_1 and a_2 of the plane at 60° it is (a_1 + a_2) / 3 or its opposite: of the two, the one that
    takes the first layer above the last not on top of it.
    """
    first, second = perfect.cell.array[0] / repeat[0], perfect.cell.array[1] / repeat[1]
    slide = (first + second) / 3.0
    heights = np.round(perfect.positions[:, 2], 3)
    below = perfect.positions[heights == heights.max()][0]
    above = perfect.positions[heights == heights.min()][0] + perfect.cell.array[2]
    scaled = np.linalg.solve(np.array([first, second])[:, :2].T, (above + slide - below)[:2])
    on_top = np.abs(scaled - np.rint(scaled)).max() < 1e-3
    return -slide if on_top else slide
