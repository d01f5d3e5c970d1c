"""What the physics gate found, in words and cells of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

HEAD: Final = ('crystal', 'property', 'quantity', 'unit', 'potential', 'reference', 'error', 'allowed', '', 'remark')
TEXT_COLUMNS: Final = (0, 1, 2, 3, 8, 9)
VERDICTS: Final = {True: 'passed', False: 'failed', None: ''}


def summary(report: Mapping[str, Any]) -> str:
    """Return one sentence on whether the potential passed, and what the reference cost."""
    judged = [row['passed'] for row in report['rows'] if row['passed'] is not None]
    verdict = 'passed' if report['passed'] else 'did not pass'
    bought = report['n_reference'] - report['n_reused']
    return (
        f'The potential {verdict}: {sum(judged)} of {len(judged)} quantities within their limits; {report["n_reference"]} labels '
        f'of the reference, {bought} of them new.'
    )


def row_cells(row: Mapping[str, Any]) -> list[str]:
    """Return the cells of a row of the report, in the order of :data:`HEAD`."""
    numbers = ['-' if row[name] is None else f'{row[name]:.4g}' for name in ('potential', 'reference', 'error', 'threshold')]
    names = [row[name] for name in ('crystal', 'property', 'quantity', 'unit')]
    return [*names, *numbers, VERDICTS[row['passed']], row['note']]
