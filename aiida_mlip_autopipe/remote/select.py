"""Stage select: which frames are worth a label, and why the others are not."""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.select import SurrogateConfig
from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote.inputs import checked, load_function, read_frames
from aiida_mlip_autopipe.science.select.funnel import FunnelLimits, select
from aiida_mlip_autopipe.science.select.sanity import SanityLimits

DESCRIPTORS = 'mlip_autopipe.descriptors'
SELECTORS = 'mlip_autopipe.selectors'


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the selection and return the funnel with its numbers."""
    config = checked(SurrogateConfig, settings['settings'])
    frames = read_frames(folder, 'frames')
    known = read_frames(folder, 'known') if (folder / arrays_file('known')).exists() else None
    elements = sorted({*frames.elements, *(known.elements if known else ())})
    selection = select(
        frames,
        known=known,
        featurize=partial(load_function(DESCRIPTORS, config.descriptor), elements=elements, cutoff=config.descriptor_cutoff),
        pick=load_function(SELECTORS, config.selector),
        limits=_limits(config, settings['budget']),
        rng=np.random.default_rng(settings['seed']),
    )
    with (folder / arrays_file('selection')).open('wb') as handle:
        np.savez(handle, indices=selection.indices, reasons=np.array(selection.reasons, dtype=np.str_))
    return {
        'counts': selection.counts,
        'by_config_type': selection.by_config_type,
        'reasons': dict(Counter(reason for reason in selection.reasons if reason)),
        'budget': settings['budget'],
        'n_known': len(known) if known is not None else 0,
        'lineages_selected': len(set(_lineages(frames, selection.indices.tolist()))),
    }


def _limits(config: SurrogateConfig, budget: int) -> FunnelLimits:
    sanity = SanityLimits(min_bond_fraction=config.min_bond_fraction, max_skew=config.max_skew)
    return FunnelLimits(budget=budget, sanity=sanity, duplicate_tolerance=config.duplicate_tolerance)


def _lineages(frames: Frames, indices: list[int]) -> list[str]:
    return [str(frames.lineage[index]) for index in indices]
