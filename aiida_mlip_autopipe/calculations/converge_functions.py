"""Calcfunctions of the convergence study: its structures, its settings, and the report of what they gave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.calculations.pw_inputs import pw_inputs
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.units import GPA, MILLI
from aiida_mlip_autopipe.config.converge import ConvergeConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.science.convergence import Difference, Series, Targets, compare_series, judged
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.generate.study import STRAIN_SERIES, study_structures
from aiida_mlip_autopipe.science.label import Label, predicted_cost

PARAMETERS: Final = {'cutoff_wfc': 'Ry', 'kpoints_distance': '1/Å'}
"""What is varied, with its unit."""

PLANE_WAVES: Final = 1.5
"""The number of plane waves grows with this power of the cutoff."""

Meshes = list[list[int]]


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """Which settings are calculated, each once, and which of them make up a series.

    :param settings: by name, complete settings as `DFTConfig`.
    :param facts: by name, `cutoff_wfc` (Ry), `cutoff_rho` (Ry), `kpoints_distance` (1/Å), the k-point `meshes` of the structures
        and `predicted`, the cost of all of them in arbitrary units.
    :param series: by parameter, the names of its settings from the loosest to the tightest.
    :param configured: name of the setting of the configuration, which is in both series.
    :param skipped: distances of k-points that give all structures the mesh of another one: `value` and `same_as`, 1/Å.
    """

    settings: dict[str, dict[str, Any]]
    facts: dict[str, dict[str, Any]]
    series: dict[str, list[str]]
    configured: str
    skipped: list[dict[str, float]]


def frames_of_study(system: Mapping[str, Any], generate: Mapping[str, Any], converge: Mapping[str, Any], seed: int) -> Frames:
    """Return the structures of a study.

    :param system: fields of `TargetSystem`; `generate` of `GeneratorConfig`; `converge` of `ConvergeConfig`.
    """
    rng = np.random.default_rng(seed)
    builder, with_series = structure_builder(system, generate), converge['strain_series']
    return Frames.from_atoms(study_structures(builder, converge['max_structures'], rng, with_series=with_series))


@calcfunction
def make_study_frames(system: orm.Dict, generate: orm.Dict, converge: orm.Dict, seed: orm.Int) -> FramesData:
    """Return one base structure for each composition, a strained and a rattled one, and a series of strains (Å)."""
    return FramesData(frames_of_study(system.get_dict(), generate.get_dict(), converge.get_dict(), seed.value))


def plan_of_study(frames: Frames, label: DFTConfig, converge: ConvergeConfig, valence: Mapping[str, float]) -> StudyPlan:
    """Return the settings: cutoffs at the configured distance of k-points, distances at the configured cutoff.

    :param label: complete settings, see `DFTConfig.missing`.
    :param valence: valence electrons of the pseudopotential of each element.
    """
    wfc, spacing = label.cutoff_wfc, label.kpoints_distance
    if wfc is None or spacing is None:
        raise InputError(f'label: {label.missing} missing; the protocol and the family must be filled in before')
    meshes = {value: _meshes(frames, label, value, valence) for value in converge.distance_series(spacing)}
    distances, skipped = _distinct(meshes, spacing)
    points = {'cutoff_wfc': [(cutoff, spacing) for cutoff in converge.cutoff_series(wfc)]}
    points['kpoints_distance'] = [(wfc, distance) for distance in distances]
    unique = list(dict.fromkeys(point for series in points.values() for point in series))
    names = {point: f'setting_{number:03d}' for number, point in enumerate(unique)}
    settings = {name: _at(label, *point) for point, name in names.items()}
    facts = {
        name: {
            **{field: settings[name][field] for field in ('cutoff_wfc', 'cutoff_rho', 'kpoints_distance')},
            'meshes': meshes[distance],
            'predicted': _cost(frames, meshes[distance], cutoff, valence),
        }
        for (cutoff, distance), name in names.items()
    }
    series = {parameter: [names[point] for point in members] for parameter, members in points.items()}
    return StudyPlan(settings, facts, series, names[(wfc, spacing)], skipped)


def _at(label: DFTConfig, cutoff: float, distance: float) -> dict[str, Any]:
    """Return the settings at another cutoff, that of the charge density in the same ratio, and another distance of k-points."""
    dense = label.cutoff_rho * cutoff / label.cutoff_wfc if label.cutoff_rho and label.cutoff_wfc else None
    changed = {'cutoff_wfc': cutoff, 'cutoff_rho': dense, 'kpoints_distance': distance}
    return DFTConfig.model_validate({**label.model_dump(), **changed}).model_dump()


def _meshes(frames: Frames, label: DFTConfig, distance: float, valence: Mapping[str, float]) -> Meshes:
    config = label.model_copy(update={'kpoints_distance': distance})
    return [list(pw_inputs(atoms, config, valence).kpoints.get_kpoints_mesh()[0]) for atoms in frames]


def _distinct(meshes: Mapping[float, Meshes], configured: float) -> tuple[list[float], list[dict[str, float]]]:
    """Return the distances without those that repeat the meshes of another one, and these with the one they repeat.

    Two distances with the same meshes agree to the last digit, which would look like convergence. Of such a group the configured
    one is kept, else the tightest.
    """
    groups: dict[str, list[float]] = {}
    for distance, found in meshes.items():
        groups.setdefault(json.dumps(found), []).append(distance)
    kept = {key: configured if configured in group else min(group) for key, group in groups.items()}
    skipped = [{'value': value, 'same_as': kept[key]} for key, group in groups.items() for value in group if value != kept[key]]
    return sorted(kept.values(), reverse=True), skipped


def _cost(frames: Frames, meshes: Meshes, cutoff: float, valence: Mapping[str, float]) -> float:
    """Return the predicted cost of all structures, in arbitrary units."""
    return sum(
        predicted_cost(
            sum(valence[symbol] for symbol in atoms.symbols), int(np.prod(mesh)), atoms.get_volume() * cutoff**PLANE_WAVES
        )
        for atoms, mesh in zip(frames, meshes, strict=True)
    )


@calcfunction
def plan_study(frames: FramesData, settings: orm.Dict, converge: orm.Dict, pseudos: orm.Dict) -> dict[str, orm.Dict]:
    """Return the `plan` of a study (facts, series, configured, skipped) and, by name, the settings of each of its jobs.

    :param pseudos: `z_valence` of the pseudopotential of each element.
    """
    valence = {element: facts['z_valence'] for element, facts in pseudos.get_dict().items()}
    label = DFTConfig.model_validate(settings.get_dict())
    options = ConvergeConfig.model_validate(converge.get_dict())
    plan = asdict(plan_of_study(frames.frames, label, options, valence))
    nodes = {name: orm.Dict(values) for name, values in plan.pop('settings').items()}
    return {'plan': orm.Dict(plan), **nodes}


@calcfunction
def summarize_study(frames: FramesData, plan: orm.Dict, converge: orm.Dict, outcome: orm.Dict, **results: orm.Data) -> orm.Dict:
    """Return the report of a study: differences from the tightest setting, proposals, costs, what was left out.

    :param outcome: `jobs`, the name of the setting by name of the job; `failures`, by setting reason and detail by index.
    :param results: `labelled_NAME`, `report_NAME` and `retrieved_NAME` of the job NAME, where it has them.
    """
    facts, pool = plan['facts'], frames.frames
    labels: dict[str, dict[int, Label]] = {name: {} for name in facts}
    seconds = dict.fromkeys(facts, 0.0)
    for job, name in outcome['jobs'].items():
        if f'labelled_{job}' in results:
            found = zip(results[f'report_{job}']['labelled'], results[f'labelled_{job}'].frames, strict=True)
            labels[name].update((index, _label_of(atoms)) for index, atoms in found)
        if f'retrieved_{job}' in results:
            seconds[name] += _seconds(results[f'retrieved_{job}'])
    targets = targets_of(ConvergeConfig.model_validate(converge.get_dict()))
    strains = np.flatnonzero(pool.config_type == STRAIN_SERIES).tolist()
    series = {
        parameter: _series_entry(
            compare_series([(facts[n][parameter], labels[n]) for n in names], targets, strains), names, facts, parameter
        )
        for parameter, names in plan['series'].items()
    }
    settings = [_setting_entry(name, plan.get_dict(), len(labels[name]), seconds) for name in facts]
    return orm.Dict(
        {
            'n_calculations': len(facts) * len(pool),
            'n_settings': len(facts),
            'seconds': sum(seconds.values()),
            'targets': asdict(targets),
            'configured': {name: facts[plan['configured']][name] for name in ('cutoff_wfc', 'cutoff_rho', 'kpoints_distance')},
            'structures': [_structure_entry(pool, index) for index in range(len(pool))],
            'settings': settings,
            'series': series,
            'skipped': plan['skipped'],
            'left_out': _left_out(pool, facts, outcome['failures']),
        }
    )


def targets_of(converge: ConvergeConfig) -> Targets:
    """Return the targets of the settings in eV/atom, eV/Å and eV/Å³."""
    stress = None if converge.target_stress is None else converge.target_stress * GPA
    return Targets(converge.target_energy / MILLI, converge.target_force / MILLI, stress)


def judged_again(report: Mapping[str, Any], targets: Targets) -> dict[str, Any]:
    """Return the report of a finished study with the proposals for other targets."""
    series = dict(report['series'])
    for parameter, entry in report['series'].items():
        if not entry['rows']:
            continue
        rows = [Difference(**{key: row.get(key) for key in Difference.__dataclass_fields__}) for row in entry['rows']]
        found = judged(rows, entry['frames'], targets)
        series[parameter] = {**entry, 'proposal': found.proposal, 'verdict': found.verdict}
    return {**report, 'targets': asdict(targets), 'series': series}


def _label_of(atoms: Any) -> Label:
    return Label(*(atoms.calc.results.get(name) for name in ('energy', 'forces', 'stress')))


def _seconds(retrieved: orm.FolderData) -> float:
    """Return the wall time of all runs of a job, s; nothing where the job was killed before it wrote it down."""
    repository = retrieved.base.repository
    if files.REPORT not in repository.list_object_names():
        return 0.0
    return float(sum(run['seconds'] for run in json.loads(repository.get_object_content(files.REPORT)).get('runs', [])))


def _series_entry(series: Series, names: Sequence[str], facts: Mapping[str, Any], parameter: str) -> dict[str, Any]:
    """Return a series as plain values; each row says how many structures have the meshes of the reference there."""
    entry = asdict(series)
    meshes = {facts[name][parameter]: facts[name]['meshes'] for name in names}
    for row in entry['rows']:
        reference = meshes[entry['rows'][-1]['value']]
        row['n_same_meshes'] = sum(meshes[row['value']][index] == reference[index] for index in series.frames)
    return {**entry, 'rows': list(entry['rows']), 'frames': list(series.frames), 'unit': PARAMETERS[parameter]}


def _setting_entry(name: str, plan: Mapping[str, Any], n_labelled: int, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Return what a setting cost; costs are relative to the configured setting."""
    facts, configured = plan['facts'][name], plan['configured']
    base = seconds[configured]
    return {
        **{key: facts[key] for key in ('cutoff_wfc', 'cutoff_rho', 'kpoints_distance', 'meshes')},
        'n_labelled': n_labelled,
        'seconds': seconds[name],
        'predicted_cost': facts['predicted'] / plan['facts'][configured]['predicted'],
        'actual_cost': seconds[name] / base if base else None,
    }


def _structure_entry(pool: Frames, index: int) -> dict[str, Any]:
    formula = pool.atoms(index).get_chemical_formula()
    return {'index': index, 'uid': str(pool.uid[index]), 'config_type': str(pool.config_type[index]), 'formula': formula}


def _left_out(
    pool: Frames, facts: Mapping[str, Any], failures: Mapping[str, Mapping[str, Mapping[str, str]]]
) -> list[dict[str, Any]]:
    return [
        {
            **{key: facts[name][key] for key in PARAMETERS},
            **{'index': int(index), 'uid': str(pool.uid[int(index)]), **failure},
        }
        for name, by_index in failures.items()
        for index, failure in by_index.items()
    ]
