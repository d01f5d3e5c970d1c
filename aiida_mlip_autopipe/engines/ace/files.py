"""Names of an ACE potential, whether linear ACE or Pacemaker made it: its engine, its files and LAMMPS's word for its grade."""

from __future__ import annotations

from typing import Final

ENGINE: Final = 'pace'
"""In the record of a potential."""

GRADE_STYLE: Final = 'pace/extrapolation'
"""Pair style whose per-atom quantity `gamma` is the extrapolation grade."""

POTENTIAL_YAML: Final = 'output_potential.yaml'
"""B-basis: the form that is fitted, continued and read by `pace/extrapolation`."""

POTENTIAL_YACE: Final = 'output_potential.yace'
"""C-basis: the fast form, read by `pace`."""

ACTIVE_SET: Final = 'output_potential.asi'
"""Inverse of the active set, one square matrix for each element."""

POTENTIAL_FILES: Final = (POTENTIAL_YAML, POTENTIAL_YACE, ACTIVE_SET)
