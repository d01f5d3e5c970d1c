"""Pre-exploration: the ends of short walks with the surrogate join the candidates, before the first label is bought."""

from __future__ import annotations

import json

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.mace.mace import evaluate
from aiida_mlip_autopipe.engines.mace.model import MaceModel
from aiida_mlip_autopipe.engines.mace.walk import Md, as_children, md, relax
from aiida_mlip_autopipe.science.selection.sanity import sanity_reasons

CONFIG_TYPES = {'md': 'surrogate_md', 'relax': 'surrogate_relax'}


def with_walks(frames: Frames, model: MaceModel, config: SelectionConfig, rng: np.random.Generator) -> Frames:
    """Return the frames and, behind them, the end of a walk from each sane one.

    :param rng: velocities and noise of molecular dynamics.
    """
    settings = config.pre_explore
    reasons = sanity_reasons(frames, min_bond_fraction=config.min_bond_fraction, max_skew=config.max_skew)
    starts = frames.take(np.array([index for index, reason in enumerate(reasons) if not reason], dtype=np.int64))
    if not len(starts):
        return frames

    def forces_of(walking: Frames) -> FloatArray:
        return evaluate(model, walking, max_edges=config.batch_edges).forces

    if settings.kind == 'md':
        ends = md(starts, forces_of, Md(settings.temperature, settings.steps, settings.timestep), rng)
    else:
        ends = relax(starts, forces_of, settings.steps)
    origin = json.dumps({'strategy': 'pre_explore', **settings.model_dump()}, sort_keys=True)
    return Frames.concatenate([frames, as_children(ends, starts, CONFIG_TYPES[settings.kind], origin)])
