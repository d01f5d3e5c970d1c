"""Names of the files of an ACE potential, whether linear ACE or Pacemaker made it: `formats` and `science` both need them."""

from __future__ import annotations

from typing import Final

POTENTIAL_YAML: Final = 'output_potential.yaml'
"""B-basis: the form that is fitted, continued and read by `pace/extrapolation`."""

POTENTIAL_YACE: Final = 'output_potential.yace'
"""C-basis: the fast form, read by `pace`."""

ACTIVE_SET: Final = 'output_potential.asi'
"""Inverse of the active set, one square matrix for each element."""

POTENTIAL_FILES: Final = (POTENTIAL_YAML, POTENTIAL_YACE, ACTIVE_SET)
