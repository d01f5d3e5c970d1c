"""`LammpsMd`: the settings of MD in `mlip-worker`, which needs no LAMMPS of the user's own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt

from aiida_mlip_autopipe.science.explorer import EXPLORER, Explorer


class LammpsMd(Explorer):
    """MD in `mlip-worker`, for the potentials of every engine."""

    explorer: Literal['mlip_autopipe.lammps_md'] = Field(default='mlip_autopipe.lammps_md', description=EXPLORER)
    samples: NonNegativeInt = Field(
        default=0,
        description='frames kept of each trajectory in place of candidates, evenly spaced after the warm-up, whatever their '
        'grade; 0: none',
    )


def sampling(explore: Explorer, samples: int, **changes: Any) -> dict[str, Any]:
    """Return settings with which each trajectory gives frames whatever their grade: by `mlip-worker` where its explorer cannot.

    :param samples: frames of each trajectory.
    :param changes: other fields to set.
    """
    values = explore.model_dump(mode='json')
    if 'samples' not in values:
        shared = {name: values[name] for name in Explorer.model_fields}
        values = {**shared, 'explorer': LammpsMd().explorer, 'code': None}
    return {**values, 'samples': samples, **changes}
