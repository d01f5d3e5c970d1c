"""Stage train with POD: a potential with its active set out of labelled frames."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.pod.files import ACTIVE_SET, grade_lines, pair_lines
from aiida_mlip_autopipe.engines.pod.files import ENGINE as POD
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.engines.pod.trainer import PodTrainer
from aiida_mlip_autopipe.remote.potential_files import potential_folder, write_record
from aiida_mlip_autopipe.remote.train_linear import read_inputs, report_of


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the potential and return what the fit says of itself."""
    inputs = read_inputs(settings, folder, PodTrainer)
    asked = PodSettings(**inputs.shared, basis=inputs.config.basis)
    files = potential_folder(folder)
    fit = isolated(partial(fit_pod, inputs.frames, inputs.references, asked, files), files)
    record = PotentialRecord(
        engine=POD,
        elements=inputs.elements,
        cutoff=fit.cutoff,
        pair_lines=tuple(pair_lines(inputs.elements, fit.core)),
        grade_lines=tuple(grade_lines(inputs.elements)),
        reference_energies=inputs.references,
        fingerprint=inputs.fingerprint,
        active_set=ACTIVE_SET,
    )
    write_record(folder, record)
    return {
        'engine': POD,
        'basis': fit.report.size,
        'n_coefficients': len(fit.coefficients),
        'shortest_distance': fit.shortest,
        'core': dataclasses.asdict(fit.core) if fit.core is not None else None,
        'gamma_train_max': fit.gamma_train_max,
        'active_atoms': fit.active_atoms,
        'seconds': fit.seconds,
        **report_of(fit.report, inputs),
    }
