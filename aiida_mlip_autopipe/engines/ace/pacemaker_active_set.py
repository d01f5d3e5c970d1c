"""Script in place of `pace_activeset` where an element has fewer atoms than functions; the Python of Pacemaker runs it.

It is copied into the job. Rows of small weight make the active set complete: an atom with a component that no training atom shows
gets a grade of the order of 1 / EPSILON. `pace_activeset` refuses such a training set.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

EPSILON = 1e-4
"""Length of the artificial rows, in units of the largest training value of each function."""

TOLERANCE = 1.001
MAX_SWAPS = 3000


def completed(rows: Any) -> Any:
    """Return the rows of the atoms with one artificial row for each function, shape (n_atoms + n_functions, n_functions)."""
    scale = np.abs(rows).max(axis=0)
    return np.vstack([rows, EPSILON * np.diag(np.where(scale > 0, scale, 1.0))])


def main(data: str, potential: str) -> None:
    """Write the active set beside the potential, and one line for each element as `pace_activeset` does.

    :param data: data set of the fit.
    :param potential: potential in the B-basis, `….yaml`.
    """
    import pandas as pd  # noqa: PLC0415  # this and the next are those of Pacemaker's environment
    from pyace import ACEBBasisSet  # noqa: PLC0415
    from pyace.activelearning import (  # noqa: PLC0415
        compute_A_active_inverse,
        compute_active_set,
        compute_B_projections,
        compute_extrapolation_grade,
        save_active_inverse_set,
    )

    basis = ACEBBasisSet(potential)
    structures = pd.read_pickle(data, compression='gzip')['ase_atoms'].to_list()
    rows = compute_B_projections(basis, structures)
    chosen = compute_active_set({kind: completed(own) for kind, own in rows.items()}, tol=TOLERANCE, max_iters=MAX_SWAPS)
    inverse = compute_A_active_inverse(chosen)
    grades = compute_extrapolation_grade(rows, inverse)
    for kind, matrix in inverse.items():
        name, largest = basis.elements_name[kind], grades[kind].max()
        sys.stdout.write(f'Element: {name}, Active set inv. shape: {matrix.shape}, gamma_max: {largest:.3f}\n')
    save_active_inverse_set(str(Path(potential).with_suffix('.asi')), inverse, basis.elements_name)


if __name__ == '__main__':
    main(*sys.argv[1:])
