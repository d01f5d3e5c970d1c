"""The negative ledger: labels that taught nothing, because the potential knew them before they were bought."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from aiida_mlip_autopipe.common.frames import FloatArray, Frames


@dataclass(frozen=True)
class LedgerRow:
    """Labels of one kind.

    :param config_type: of the frames.
    :param temperature: K of the MD that they come from; None where they come from none.
    :param bought: labels.
    :param known: of them, those whose forces the potential had predicted within the standard deviation that it stated.
    """

    config_type: str
    temperature: float | None
    bought: int
    known: int


def negative_ledger(frames: Frames, forces: FloatArray, spread: FloatArray, noise: float) -> list[LedgerRow]:
    """Return what the labels of each config_type and temperature were worth to a potential that was not trained on them.

    A frame was known when the root mean square of its force errors is not above that of the stated standard deviations.

    :param frames: frames without a label do not count.
    :param forces: eV/Å, predicted before, shape (n_atoms, 3).
    :param spread: eV/Å, of each atom over its three components together, from the coefficients, shape (n_atoms,).
    :param noise: eV/Å, what the basis cannot fit of a component.
    """
    squares = ((forces - frames.forces) ** 2).sum(axis=1)
    stated = spread**2 + 3 * noise**2
    first = frames.offsets[:-1]
    is_known = np.add.reduceat(squares, first) <= np.add.reduceat(stated, first)
    counts: dict[tuple[str, float | None], list[int]] = {}
    for index in np.flatnonzero(frames.labelled).tolist():
        row = counts.setdefault((str(frames.config_type[index]), _temperature(str(frames.origin[index]))), [0, 0])
        row[0] += 1
        row[1] += int(is_known[index])
    order = sorted(counts, key=lambda key: (key[0], key[1] or 0.0))
    return [LedgerRow(config_type, temperature, *counts[config_type, temperature]) for config_type, temperature in order]


def _temperature(origin: str) -> float | None:
    """Return the temperature (K) that a strategy noted."""
    value = json.loads(origin).get('temperature') if origin.startswith('{') else None
    return None if value is None else float(value)
