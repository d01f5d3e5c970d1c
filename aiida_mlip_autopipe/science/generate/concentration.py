"""How many defects a cell gets: a number, or a concentration."""

from __future__ import annotations


def number_of_defects(n_atoms: int, per_cell: int, concentration: float | None) -> int:
    """Return the whole number of defects nearest to the concentration, at least 1; without one it is `per_cell`.

    :param n_atoms: of the perfect cell.
    :param concentration: defects for each atom, dimensionless.
    """
    return per_cell if concentration is None else max(1, round(concentration * n_atoms))
