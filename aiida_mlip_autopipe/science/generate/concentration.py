"""How many defects a cell gets: a number, or a concentration."""

from __future__ import annotations

from aiida_mlip_autopipe.common.errors import InputError


def check_number(strategy: str, per_cell: int, concentration: float | None) -> None:
    """Refuse what is no number of defects.

    :param strategy: for the message.
    :raises InputError: the number is below 1, or the concentration not between 0 and 1.
    """
    if per_cell < 1:
        raise InputError(f'{strategy}: per_cell >= 1 is needed, got {per_cell}')
    if concentration is not None and not 0.0 < concentration < 1.0:
        raise InputError(f'{strategy}: concentration must lie between 0 and 1 defects for each atom, got {concentration}')


def check_count(strategy: str, count: int) -> None:
    """Refuse what is no number of structures.

    :param strategy: for the message.
    :raises InputError: the number is negative.
    """
    if count < 0:
        raise InputError(f'{strategy}: count >= 0 is needed, got {count}')


def number_of_defects(n_atoms: int, per_cell: int, concentration: float | None) -> int:
    """Return the whole number of defects nearest to the concentration, at least 1; without one it is `per_cell`.

    :param n_atoms: of the perfect cell.
    :param concentration: defects for each atom, dimensionless.
    """
    return per_cell if concentration is None else max(1, round(concentration * n_atoms))
