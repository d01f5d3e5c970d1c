"""Stage train with linear ACE: a potential that LAMMPS's `pace` reads, with its active set, out of labelled frames."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.ace.files import POTENTIAL_FILES
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.engines.ace.library import pyace_module
from aiida_mlip_autopipe.engines.ace.potential import check_same_fit, record_of
from aiida_mlip_autopipe.engines.ace.trainer import AceTrainer
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.remote.potential_files import potential_folder, write_record
from aiida_mlip_autopipe.remote.train_linear import read_inputs, report_of


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the potential and return what the fit says of itself.

    :raises InstallationError: pyace is missing: told at once, before anything is read.
    """
    pyace_module()
    inputs = read_inputs(settings, folder, AceTrainer)
    asked = AceSettings(**inputs.shared, functions=inputs.config.functions)
    files = potential_folder(folder)
    fit = isolated(partial(fit_ace, inputs.frames, inputs.references, asked, files), files)
    contents = {name: (files / name).read_bytes() for name in POTENTIAL_FILES}
    check_same_fit(contents, inputs.elements)
    record = record_of(inputs.elements, inputs.config.cutoff, inputs.references, inputs.fingerprint, contents)
    write_record(folder, dataclasses.replace(record, energy_shift=fit.energy_shift))
    return {
        'engine': PACE,
        'functions': fit.functions,
        'n_coefficients': len(fit.coefficients),
        'energy_shift': fit.energy_shift,
        'shortest_distances': fit.shortest,
        'gamma_train_max': fit.gamma_train_max,
        'active_atoms': fit.active_atoms,
        'seconds': fit.seconds,
        **report_of(fit.report, inputs),
    }
