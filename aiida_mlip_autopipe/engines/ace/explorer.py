"""`LammpsPace`: the settings of MD by a program `lmp` with ML-PACE."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aiida_mlip_autopipe.engines.ace.files import ENGINE
from aiida_mlip_autopipe.science.explorer import EXPLORER, Explorer


class LammpsPace(Explorer):
    """MD by a program `lmp` with ML-PACE, on any number of ranks."""

    ENGINES = (ENGINE,)

    explorer: Literal['mlip_autopipe.lammps_pace'] = Field(default='mlip_autopipe.lammps_pace', description=EXPLORER)
