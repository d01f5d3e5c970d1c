"""A check of its own."""

from pydantic import Field

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.checks.check import Check
from aiida_mlip_autopipe.science.checks.finding import Finding


class Squeeze(Check):
    """A squeezed cell must push outwards."""

    factor: float = Field(default=0.8, gt=0, lt=1, description='lattice vectors in units of those of the training frame')

    def findings(self, frames, evaluate):
        squeezed = [atoms.copy() for atoms in frames.take(range(min(3, len(frames))))]
        for atoms in squeezed:
            atoms.set_cell(self.factor * atoms.cell.array, scale_atoms=True)
        worst = float(evaluate(Frames.from_atoms(squeezed)).stress[:, :3].mean(axis=1).max())
        return [Finding.at_most('pairs.squeeze', worst, 0.0, 'eV/Å³', f'the mean stress of squeezed cells reaches {worst:.3g}')]
