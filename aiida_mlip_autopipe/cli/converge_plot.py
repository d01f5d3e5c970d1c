"""The figure of a convergence study: worst and mean difference of energies, forces and stresses along each series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.units import GPA, MILLI

FORMATS: Final = ('.png', '.svg', '.pdf')


class Panel(NamedTuple):
    """What a row of panels shows: columns of the report, axis label, target, and the factor to the unit of the axis."""

    columns: tuple[tuple[str, str, str], ...]
    label: str
    target: str
    factor: float


PANELS: Final = (
    Panel(
        (
            ('relative_worst', 'difference of two structures, worst', 'C0o-'),
            ('relative_mean', 'the same, mean', 'C0o:'),
            ('energy_worst', 'absolute, worst', 'C7s-'),
        ),
        'energy (meV/atom)',
        'energy',
        MILLI,
    ),
    Panel((('force_worst', 'worst', 'C0o-'), ('force_mean', 'mean', 'C0o:')), 'force (meV/Å)', 'force', MILLI),
    Panel(
        (('stress_worst', 'worst', 'C0o-'), ('stress_mean', 'mean', 'C0o:'), ('roughness', 'roughness in strain', 'C1^-')),
        'stress (GPa)',
        'stress',
        1 / GPA,
    ),
)
AXES: Final = {'cutoff_wfc': 'cutoff of the wave functions (Ry)', 'kpoints_distance': 'distance of k-points (1/Å)'}


def check_format(path: Path) -> None:
    """Check that a figure can be written to a file of this name.

    :raises InputError: the ending is unknown, or the folder is missing.
    """
    if path.suffix.lower() not in FORMATS:
        raise InputError(f'--plot: got {str(path)!r}; the name must end with one of {", ".join(FORMATS)}')
    if not path.parent.is_dir():
        raise InputError(f'--plot: got {str(path)!r}; the folder {path.parent} does not exist')


def plot_study(report: Mapping[str, Any], path: Path) -> None:
    """Write the figure of a report: one column of panels for each parameter, the tightest setting at the right end.

    Zeros, as where a structure has the mesh of the reference, have no place on a logarithmic axis and are left out.
    """
    figure = Figure(figsize=(10, 9), layout='constrained')
    grid = figure.subplots(len(PANELS), len(report['series']), sharex='col', squeeze=False)
    for column, (parameter, series) in enumerate(report['series'].items()):
        for row, panel in enumerate(PANELS):
            _draw(grid[row, column], panel, series, report['targets'][panel.target])
        grid[0, column].set_title(series['verdict'], fontsize=9, wrap=True)
        grid[-1, column].set_xlabel(AXES[parameter])
        if parameter == 'kpoints_distance':
            grid[0, column].invert_xaxis()  # shared by the column: tighter to the right, as with cutoffs
    figure.savefig(path, dpi=120)


def _draw(axes: Axes, panel: Panel, series: Mapping[str, Any], target: float | None) -> None:
    for name, label, style in panel.columns:
        points = [(row['value'], panel.factor * row[name]) for row in series['rows'][:-1] if (row.get(name) or 0.0) > 0]
        axes.plot([x for x, _ in points], [y for _, y in points], style, label=label)
    axes.set_yscale('log')
    if target is not None:
        axes.axhline(panel.factor * target, color='C3', linestyle='--', label=f'target {panel.factor * target:g}')
    if series['proposal'] is not None:
        axes.axvline(series['proposal'], color='C2', label=f'proposal {series["proposal"]:g}')
    axes.set_ylabel(panel.label)
    axes.grid(visible=True, which='both', alpha=0.2)
    axes.legend(fontsize=8)
