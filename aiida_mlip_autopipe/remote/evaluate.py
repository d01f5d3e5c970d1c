"""Stage evaluate: what a potential predicts for frames, its errors where there are labels, and its grade for every atom."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from aiida_mlip_autopipe.formats.files import arrays_file
from aiida_mlip_autopipe.remote import engine
from aiida_mlip_autopipe.remote.inputs import read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.science.metrics import label_errors


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the predictions and return the errors and the highest grade."""
    frames = read_frames(folder, 'frames')
    found = engine.evaluate(frames, read_potential(folder), potential_folder(folder))
    columns = {name: column for name, column in vars(found).items() if column is not None}
    with (folder / arrays_file('predictions')).open('wb') as handle:
        np.savez(handle, **columns)
    errors = label_errors(frames, found.energy, found.forces, found.stress) if frames.labelled.any() else None
    return {
        'n_frames': len(frames),
        'errors': dataclasses.asdict(errors) if errors is not None else None,
        'gamma_max': None if found.gamma is None else float(np.nan_to_num(found.gamma, posinf=np.finfo(float).max).max()),
    }
