"""Stage generate: candidate structures of a target system."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from aiida_mlip_autopipe.config.generate import GeneratorConfig
from aiida_mlip_autopipe.config.system import TargetSystem
from aiida_mlip_autopipe.formats.bases import located
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import checked
from aiida_mlip_autopipe.science.generate.collect import collect, tally_report
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.generate.sqs import CONFIG_TYPE, told_distances


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the frames and return how many there are of each kind, and what each strategy's became."""
    system = checked(TargetSystem, settings['system'])
    config = checked(GeneratorConfig, settings['settings'])
    builder = structure_builder(system.model_dump(), located(config.model_dump(), folder))
    frames, tally = collect(builder, settings['seed'])
    frames.save(folder / arrays_file('frames'))
    return {
        'n_frames': len(frames),
        'n_lineages': len(set(frames.lineage.tolist())),
        'by_config_type': dict(Counter(frames.config_type.tolist())),
        'quasirandom_distances': told_distances(frames.origin[frames.config_type == CONFIG_TYPE].tolist()),
        'by_strategy': tally_report(tally),
        'stopped': tally.stopped,
    }
