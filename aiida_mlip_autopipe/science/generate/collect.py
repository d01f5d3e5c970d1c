"""A stream of structures gathered into frames, with what became of each strategy's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.sieve import Tally

CHUNK = 500
"""Structures that are held as ASE atoms at a time; as columns of frames they take a tenth of the memory."""


def collect(builder: StructureBuilder, seed: int) -> tuple[Frames, Tally]:
    """Return all structures of a builder, and the tally of its steps."""
    tally = Tally()
    return gathered(builder.build(np.random.default_rng(seed), tally)), tally


def gathered(structures: Iterator[Atoms]) -> Frames:
    """Return the frames of a stream."""
    parts = []
    while chunk := list(islice(structures, CHUNK)):
        parts.append(Frames.from_atoms(chunk))
    return Frames.concatenate(parts)


def tally_report(tally: Tally) -> dict[str, Any]:
    """Return a tally as plain values: for each step tried, kept, rejected by reason, and the range of sizes."""
    return {
        name: {
            'tried': step.tried,
            'kept': step.kept,
            'rejected': dict(sorted(step.rejected.items())),
            'n_atoms': list(step.sizes),
        }
        for name, step in tally.steps.items()
    }
