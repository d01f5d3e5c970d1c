"""Errors on the frozen test set in words: intervals, groups, and what the report has to say against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiida_mlip_autopipe.common.reports import Groups, RoundEntry
from aiida_mlip_autopipe.common.units import GPA, MILLI

GROUPS: Final = ('part', 'composition', 'config_type')
"""Groupings in the order in which they are told."""

HEAD: Final = ('', 'frames', 'lineages', 'energy\nmeV/atom', '90 %\ninterval', 'force\nmeV/Å', '90 %\ninterval')

TOLD_PRESSURE: Final = 0.05
"""GPa, pressure of the labels that is worth a remark."""

SURE: Final = 2.0
"""Times the noise of the stresses, above which a pressure is one of the labels."""


def interval_text(interval: Sequence[float] | None, form: str) -> str:
    """Return the ends of an interval in thousandths, or a dash without one.

    :param interval: in eV/atom or eV/Å.
    :param form: of a number, such as `.1f`.
    """
    return '-' if interval is None else f'{MILLI * interval[0]:{form}} to {MILLI * interval[1]:{form}}'


def group_rows(groups: Groups | None) -> list[list[str]]:
    """Return a row for each group under :data:`HEAD`; a grouping of a single group tells nothing of its own."""
    return [
        [
            f'{grouping.replace("_", " ")} {name}',
            str(errors['n_frames']),
            str(errors['n_lineages']),
            f'{MILLI * errors["energy_rmse"]:.2f}',
            interval_text(errors['energy_interval'], '.2f'),
            f'{MILLI * errors["force_rmse"]:.1f}',
            interval_text(errors['force_interval'], '.1f'),
        ]
        for grouping in GROUPS
        for name, errors in (groups or {}).get(grouping, {}).items()
        if len((groups or {})[grouping]) > 1
    ]


def remarks(entry: RoundEntry) -> list[str]:
    """Return sentences on a round: whether its errors are a guess, and temperatures that the test set lacks."""
    told = [entry['test_caution']] if entry.get('test_caution') else []
    for part in (entry.get('test_md') or {}).get('temperatures', []):
        if not part['n_frames']:
            reasons = ', '.join(f'{count} {reason}' for reason, count in part['reasons'].items()) or 'the job failed'
            told.append(f'the test set has no frames of MD at {part["temperature"]:g} K: {reasons}')
    return told + pressure_remarks(entry)


def pressure_remarks(fit: Mapping[str, Any]) -> list[str]:
    """Return a sentence on the pressure by which stresses and energies of the labels differ, where it is worth one.

    A fit of few frames takes its own errors for one: 12 frames of EMT, which has none, gave 1.2 GPa at a noise of 1.1.

    :param fit: `stress_offset` (eV/Å³, root mean square) and `stress_noise` (eV/Å³), each None or missing where there is none.
    """
    pressure, noise = ((fit.get(name) or 0.0) / GPA for name in ('stress_offset', 'stress_noise'))
    if pressure < max(TOLD_PRESSURE, SURE * noise):
        return []
    return [
        f'the stresses of the labels are off by a pressure of {pressure:.2f} GPa, which is not that of their energies: a higher '
        'cutoff of the labels makes it smaller; the potential follows the energies'
    ]


def group_lines(entry: RoundEntry) -> list[str]:
    """Return the groups of a round as lines of text, and the remarks."""
    rows = group_rows(entry.get('test_groups'))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))] if rows else []
    lines = [
        f'            {name:<{widths[0]}}  {frames:>{widths[1]}} frames  {energy:>{widths[3]}} ({energy_interval}) meV/atom  '
        f'{force:>{widths[5]}} ({force_interval}) meV/Å'
        for name, frames, _, energy, energy_interval, force, force_interval in rows
    ]
    return [*lines, *(f'            {remark}' for remark in remarks(entry))]
