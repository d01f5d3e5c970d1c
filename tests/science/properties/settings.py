"""Settings of all properties, as the configuration has them, of a small Cu-Au system."""

from __future__ import annotations

from typing import Any

from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from tests.config.settings import changed

ALL: dict[str, Any] = {
    'crystals': ['Cu', 'L1_2 AuCu3'],
    'vacancy': {'supercell': [2, 2, 2]},
    'surface': {'millers': [[1, 0, 0]], 'layers': 2},
    'phonons': {'supercell': [1, 1, 1], 'q_points': [[0, 0, 0]]},
    'expansion': {'reference': {'Cu': 1.7e-5}},
}


def configuration(properties: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return the whole configuration with ordered crystals and properties."""
    values = {'generate.ordered': {'prototypes': ['L1_2']}, 'properties': ALL if properties is None else properties, **changes}
    return MLIPConfig.from_mapping(changed(values)).to_mapping()
