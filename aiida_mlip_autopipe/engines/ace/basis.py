"""Bases of linear ACE by number of functions per element, and their ZBL core below the shortest training distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import comb
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.engines.ace.core import cores
from aiida_mlip_autopipe.engines.ace.library import pyace_module

SIZES: Final[Mapping[int, tuple[tuple[int, ...], tuple[int, ...]]]] = MappingProxyType(
    {
        20: ((8, 2, 1), (0, 2, 1)),
        40: ((8, 3, 2), (0, 2, 1)),
        80: ((8, 4, 2, 1), (0, 3, 2, 1)),
        160: ((10, 5, 3, 2), (0, 4, 2, 1)),
        300: ((10, 6, 4, 2), (0, 4, 3, 1)),
        600: ((14, 8, 5, 3), (0, 5, 3, 1)),
    }
)
"""Largest radial and angular index by body order, the first one two-body, of the basis sets that `auto` decides between.

The functions of lowest power order are taken until their number is reached; one element may have fewer.
"""

RADIAL: Final = {'radbase': 'SBessel', 'radparameters': [5.25], 'dcut': 0.01, 'NameOfCutoffFunction': 'cos'}
EMBEDDING: Final = {'npot': 'FinnisSinclairShiftedScaled', 'fs_parameters': [1, 1], 'ndensity': 1}
"""One density to the power of one: the energy is linear in the coefficients."""

MOST_ELEMENTS: Final = 5
"""Largest number of elements that share a block of functions in pyace."""

SPLINE_STEP: Final = 0.001
"""Å, distance of the knots of the radial splines."""


def basis_configuration(elements: Sequence[str], functions: int, cutoff: float) -> Any:
    """Return the configuration of a basis in pyace's form, all coefficients 0, without a core.

    :param functions: largest number of functions per element.
    :param cutoff: Å.
    :raises InstallationError: pyace is missing.
    :raises InputError: so few functions that there would be none.
    """
    if functions < least_functions(len(elements)):
        raise InputError(
            f'functions: got {functions}; with {len(elements)} elements each has {least_functions(len(elements))} combinations '
            'with others, which need a function each'
        )
    shape = next((SIZES[size] for size in SIZES if size >= functions), SIZES[max(SIZES)])
    return pyace_module().create_multispecies_basis_config(
        {
            'deltaSplineBins': SPLINE_STEP,
            'elements': sorted(elements),
            'embeddings': {'ALL': dict(EMBEDDING)},
            'bonds': {'ALL': {**RADIAL, 'rcut': cutoff}},
            'functions': {
                'ALL': {'nradmax_by_orders': list(shape[0]), 'lmax_by_orders': list(shape[1])},
                'number_of_functions_per_element': functions,
            },
        }
    )


def least_functions(n_elements: int) -> int:
    """Return the smallest number of functions per element with which pyace makes any.

    It gives each combination of an element with up to four others the same number, rounded down.
    """
    return sum(comb(n_elements - 1, others) for others in range(MOST_ELEMENTS))


def add_core(configuration: Any, distances: Mapping[tuple[str, str], float]) -> None:
    """Put the ZBL core into a configuration, in place.

    :param distances: Å, shortest distance of each pair of elements, sorted by name, see `core.shortest_distances`.
    """
    found = cores(distances)
    for block in configuration.funcspecs_blocks:
        words = sorted(block.block_name.split())
        if len(words) > 2:
            continue
        block.r_in, block.delta_in = found[words[0], words[-1]]
        block.inner_cutoff_type = 'zbl'
        block.core_rep_parameters = [1.0, 1.0]
        block.rho_cut, block.drho_cut = 1.0, 1.0


def functions_per_element(basis: Any) -> IntArray:
    """Return the number of functions of each element of a pyace basis set, in its order, shape (n_elements,)."""
    return np.array([len(first) + len(rest) for first, rest in zip(basis.basis_rank1, basis.basis, strict=True)], dtype=np.int64)
