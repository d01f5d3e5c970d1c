"""What the commands converge and converge-report do: a convergence study, its tables, its proposal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from aiida import orm
from pydantic import ValidationError

from aiida_mlip_autopipe.calculations.converge_functions import (
    PARAMETERS,
    frames_of_study,
    judged_again,
    make_study_frames,
    plan_of_study,
    targets_of,
)
from aiida_mlip_autopipe.calculations.label_functions import completed
from aiida_mlip_autopipe.cli.converge_plot import check_format, plot_study
from aiida_mlip_autopipe.cli.nodes import load_process, require_daemon, submitted, tell, tell_end
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.reasons import FrameFailure
from aiida_mlip_autopipe.common.settings import explain
from aiida_mlip_autopipe.common.units import GPA, MILLI
from aiida_mlip_autopipe.config.converge import ConvergeConfig
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.workflows.converge import ConvergeWorkChain
from aiida_mlip_autopipe.workflows.edge import find_code
from aiida_mlip_autopipe.workflows.pseudos import facts_of, find_family, theory_inputs

TITLES: Final = {
    'cutoff_wfc': 'cutoff of the wave functions (Ry), at k-point distance {kpoints_distance:g}/Å',
    'kpoints_distance': 'distance of k-points (1/Å), at cutoff {cutoff_wfc:g} Ry',
}


@dataclass(frozen=True)
class AskedTargets:
    """Targets given on the command line; None leaves that of the configuration.

    :param energy: meV/atom.
    :param force: meV/Å.
    :param stress: GPa.
    """

    energy: float | None = None
    force: float | None = None
    stress: float | None = None

    @classmethod
    def of_options(cls, options: Mapping[str, float | None]) -> AskedTargets:
        """Return the targets of the options `--target-…`, by their names in Python."""
        return cls(**{name.removeprefix('target_'): value for name, value in options.items()})

    @property
    def given(self) -> dict[str, float]:
        """What was given, by the name of the field of `ConvergeConfig`."""
        asked = {'target_energy': self.energy, 'target_force': self.force, 'target_stress': self.stress}
        return {name: value for name, value in asked.items() if value is not None}

    def put_on(self, converge: Mapping[str, Any]) -> ConvergeConfig:
        """Return the settings with these targets.

        :raises InputError: a target is out of range.
        """
        try:
            return ConvergeConfig.model_validate({**converge, **self.given})
        except ValidationError as error:
            raise InputError(explain(error, ConvergeConfig)) from error


def submit_converge(path: Path, targets: AskedTargets, *, plot: Path | None, wait: bool) -> orm.WorkChainNode:
    """Submit a convergence study, wait for its end and print its report where asked, and return its node.

    :param plot: figure to write at the end, .png, .svg or .pdf.
    :raises InputError: a mistake in the file, something missing in the profile, or no daemon; nothing is submitted then.
    """
    if plot is not None:
        check_format(plot)
        if not wait:
            raise InputError('--plot: there is nothing to plot before the end; add --wait, or later: converge-report PK --plot')
    config, label = _config_of(path)
    converge = targets.put_on(config.converge.model_dump())
    load_profile()
    code, worker = find_code(label.code, 'label.code'), find_code(config.worker.code, 'worker.code')
    theory = theory_inputs(label, config.system.elements)
    require_daemon()
    options = orm.Dict(converge.model_dump())
    frames = make_study_frames(
        orm.Dict(config.system.model_dump(mode='json')),
        orm.Dict(config.generate.model_dump(mode='json')),
        options,
        orm.Int(config.seed),
    )
    node = submitted(
        ConvergeWorkChain,
        then='its report: mlip-auto converge-report {pk}',
        code=code,
        worker_code=worker,
        frames=frames,
        settings=orm.Dict(label.model_dump()),
        **theory,
        converge=options,
        metadata={'label': config.name, 'description': f'convergence study of {config.name} from {path.resolve()}'},
    )
    if wait:
        tell_end(node, lambda node: _shown(node, plot))
    return node


def show_plan(path: Path) -> None:
    """Print the structures and settings of a study and what they would cost. Stores and submits nothing.

    :raises InputError: a mistake in the file, or pseudopotentials that are missing in the profile.
    """
    config, label = _config_of(path)
    load_profile()
    full, valence = _resolved(label, config)
    frames = frames_of_study(config.system.model_dump(), config.generate.model_dump(), config.converge.model_dump(), config.seed)
    plan = plan_of_study(frames, full, config.converge, valence)
    for index, atoms in enumerate(frames):
        click.echo(f'structure {index}: {atoms.get_chemical_formula():<12} {atoms.info["config_type"]}')
    base = plan.facts[plan.configured]['predicted']
    for facts in plan.facts.values():
        click.echo(
            f'cutoff_wfc {facts["cutoff_wfc"]:>6g} Ry   kpoints_distance {facts["kpoints_distance"]:>7g}/Å   '
            f'{sum(i * j * k for i, j, k in facts["meshes"]):>6} k-points   predicted cost {facts["predicted"] / base:.2f}'
        )
    tell(_skipped_lines(plan.skipped))
    total = sum(facts['predicted'] for facts in plan.facts.values()) / base
    click.echo(
        f'{len(plan.facts)} settings x {len(frames)} structures = {len(plan.facts) * len(frames)} calculations, '
        f'predicted cost {total:.1f} times that of the configured setting'
    )


def show_report(identifier: str, targets: AskedTargets, plot: Path | None) -> None:
    """Print the report of a finished study, judged by other targets where asked.

    :raises InputError: no such study, or it has no report (yet).
    """
    if plot is not None:
        check_format(plot)
    load_profile()
    node = load_process(identifier, (ConvergeWorkChain.__name__,))
    if 'report' not in node.outputs:
        raise InputError(f'the study {node.pk} has no report; it is {node.process_state.value} (verdi process report {node.pk})')
    tell(_shown(node, plot, targets))


def report_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the tables of a study, what was left out of it, and the proposal as lines of a configuration."""
    lines = []
    for parameter, series in report['series'].items():
        lines += [TITLES[parameter].format(**report['configured']), *_table(series, _costs(report, parameter)), '']
        lines += [f'  {series["verdict"]}', '']
    lines += _skipped_lines(report['skipped'])
    lines += [
        f'left out: structure {entry["index"]} at cutoff_wfc {entry["cutoff_wfc"]:g} Ry, kpoints_distance '
        f'{entry["kpoints_distance"]:g}/Å: {FrameFailure.from_mapping(entry)}'
        for entry in report['left_out']
    ]
    targets = report['targets']
    stress = 'stress not judged' if targets['stress'] is None else f'stress {targets["stress"] / GPA:g} GPa'
    lines.append(
        f'targets: energy differences {MILLI * targets["energy"]:g} meV/atom, forces {MILLI * targets["force"]:g} meV/Å, {stress}'
    )
    lines.append(f'{report["n_calculations"]} calculations, {report["seconds"]:.0f} s of pw.x')
    return [*lines, *_proposal_lines(report)]


def _config_of(path: Path) -> tuple[MLIPConfig, DFTConfig]:
    config = MLIPConfig.from_yaml(path)
    if not isinstance(config.label, DFTConfig):
        raise InputError(
            f'{path}: label.labeller: got {config.label.name!r}; a convergence study is for pw.x: mlip_autopipe.label'
        )
    return config, config.label


def _resolved(label: DFTConfig, config: MLIPConfig) -> tuple[DFTConfig, dict[str, float]]:
    """Return the complete settings, and the valence electrons of the pseudopotential of each element.

    :raises InputError: the profile lacks the family, or the family an element.
    """
    facts = facts_of(find_family(label, config.system.elements), config.system.elements)
    full = completed(label, {element: facts[element] for element in config.system.elements})
    return full, {element: values['z_valence'] for element, values in facts.items()}


def _shown(node: orm.WorkChainNode, plot: Path | None, targets: AskedTargets | None = None) -> Iterator[str]:
    if 'report' not in node.outputs:
        return
    report = node.outputs.report.get_dict()
    if targets is not None and targets.given:
        report = judged_again(report, targets_of(targets.put_on(node.inputs.converge.get_dict())))
    yield from report_lines(report)
    if plot is not None:
        plot_study(report, plot)
        yield f'plotted to {plot}'


def _table(series: Mapping[str, Any], costs: Mapping[float, Mapping[str, Any]]) -> list[str]:
    lines = [
        '           energy meV/atom        difference meV/atom    force meV/Å        stress GPa        pressure   rough  same  '
        '   cost',
        '    value     worst      mean      worst      mean      worst     mean    worst     mean      GPa     GPa  mesh  '
        'pred.    real',
    ]
    for row in series['rows']:
        energies = [MILLI * row[name] for name in ('energy_worst', 'energy_mean', 'relative_worst', 'relative_mean')]
        forces = [MILLI * row[name] for name in ('force_worst', 'force_mean')]
        stresses = [row[name] / GPA for name in ('stress_worst', 'stress_mean')]
        cost, roughness = costs[row['value']], row.get('roughness')
        rough = '-' if roughness is None else f'{roughness / GPA:.3f}'
        real = 'unknown' if cost['actual_cost'] is None else f'{cost["actual_cost"]:.2f}'
        lines.append(
            f'{row["value"]:>9g}'
            + ''.join(f'{value:>10.3f}' for value in energies)
            + ''.join(f'{value:>10.2f}' for value in forces)
            + ''.join(f'{value:>9.3f}' for value in stresses)
            + f'{row["pressure_mean"] / GPA:>9.3f}{rough:>8}{row["n_same_meshes"]:>6}{cost["predicted_cost"]:>7.2f}{real:>8}'
        )
    return lines


def _costs(report: Mapping[str, Any], parameter: str) -> dict[float, Mapping[str, Any]]:
    """Return the settings of a series by the value of its parameter: those in which nothing else is changed."""
    (other,) = set(PARAMETERS) - {parameter}
    return {entry[parameter]: entry for entry in report['settings'] if entry[other] == report['configured'][other]}


def _skipped_lines(skipped: list[dict[str, float]]) -> list[str]:
    return [
        f'kpoints_distance {entry["value"]:g}/Å gives all structures the meshes of {entry["same_as"]:g}/Å: calculated once'
        for entry in skipped
    ]


def _proposal_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the proposal as YAML; what did not converge stands in it as a comment."""
    lines = ['label:']
    for parameter, series in report['series'].items():
        if series['proposal'] is None:
            lines.append(f'  # {parameter}: {series["verdict"]}')
            continue
        lines.append(f'  {parameter}: {series["proposal"]:g} # {series["unit"]}')
        dense = _costs(report, parameter)[series['proposal']]['cutoff_rho']
        if parameter == 'cutoff_wfc' and dense is not None:
            lines.append(f'  cutoff_rho: {dense:g} # Ry')
    return lines
