"""The configuration of a run as nodes: the settings of each stage, once."""

from __future__ import annotations

from typing import Final

from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.config.pipeline import MLIPConfig

SECTIONS: Final = ('system', 'generate', 'label', 'train', 'explore')
"""Sections of the configuration that a stage takes as they are."""


@calcfunction
def stage_settings(config: orm.Dict) -> dict[str, orm.Dict]:
    """Return the settings of each stage by the name of its section, and `options`, the resources of the jobs of mlip-worker."""
    values = MLIPConfig.from_mapping(config.get_dict()).to_mapping()
    return {**{name: orm.Dict(values[name]) for name in SECTIONS}, 'options': orm.Dict(values['worker']['options'])}
