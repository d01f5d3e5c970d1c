"""`AseLabeller`: the settings of labels by a calculator of ASE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from pydantic import Field

from aiida_mlip_autopipe.science.labeller import LABELLER, Labeller

EMT_ELEMENTS: Final = frozenset({'H', 'C', 'N', 'O', 'Al', 'Ni', 'Cu', 'Pd', 'Ag', 'Pt', 'Au'})


class AseLabeller(Labeller):
    """Labels by a calculator of ASE: for tests, teachers, and the demo where Quantum ESPRESSO is not installed."""

    labeller: Literal['mlip_autopipe.label_ase'] = Field(default='mlip_autopipe.label_ase', description=LABELLER)
    code: str = Field(default='mlip-worker@localhost', description='label of the AiiDA code of mlip-worker')
    calculator: Literal['emt', 'lj', 'morse'] = Field(default='emt', description="name of the calculator in ASE's registry")
    parameters: dict[str, float | int | bool | str] = Field(default={}, description='keyword arguments of the calculator')

    def problem_with(self, elements: Sequence[str]) -> str | None:
        """Return which elements the calculator does not know, or None."""
        unknown = [element for element in elements if element not in EMT_ELEMENTS] if self.calculator == 'emt' else []
        return f'calculator: emt does not know {unknown}; it knows {sorted(EMT_ELEMENTS)}' if unknown else None
