"""Calcfunctions of the physics gate: the structures of all properties, and the verdict on a potential."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiida import orm
from aiida.engine import ExitCode, calcfunction

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.properties import chosen_crystals
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.bases import base_folder
from aiida_mlip_autopipe.formats.structures import read_structures
from aiida_mlip_autopipe.science.properties import plan, rows
from aiida_mlip_autopipe.science.properties.crystal import Crystal, Family
from aiida_mlip_autopipe.science.properties.vacancy import VACANCY, with_places_of

NO_CRYSTAL: Final = 410
"""Exit status of crystals that cannot be made."""

EXPANSION_PORT: Final = 'expansion_'
"""Prefix of the inputs that hold the averages of MD at one temperature; what follows is its place in the list."""


@calcfunction
def make_crystals(config: orm.Dict, **files: orm.SinglefileData) -> FramesData | ExitCode:
    """Return the crystals that are looked at, in the size that the configuration gives them.

    :param config: as `MLIPConfig`, with the section properties.
    :param files: structures of crystals that are read from files: `file_000`, … in the order of :func:`files_of`.
    """
    values = config.get_dict()
    names = chosen_crystals(values['properties'], values['system'], values['generate'])
    try:
        found = {name: _structure(node) for name, (_, node) in zip(files_of(values), sorted(files.items()), strict=True)}
        crystals = plan.make_crystals(names, values['system'], values['generate'], found)
    except (InputError, FormatError) as error:
        return ExitCode(NO_CRYSTAL, str(error))
    return FramesData(plan.pack_crystals(crystals))


def files_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of the bases that are crystals from files, see `calculations.bases`, by the names of the crystals."""
    names = chosen_crystals(config['properties'], config['system'], config['generate'])
    paths = (config['generate'].get('files') or {}).get('paths', [])
    return {name: base_folder('files', paths.index(path)) for name, path in plan.named_files(names, config['generate']).items()}


def _structure(node: orm.SinglefileData) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / node.filename
        path.write_bytes(node.get_content(mode='rb'))
        return read_structures(path)[0]


@calcfunction
def make_rest_frames(crystals: FramesData, config: orm.Dict) -> FramesData:
    """Return the structures of the equations of state."""
    return FramesData(plan.rest_frames(plan.unpack_crystals(crystals.frames), config['properties']))


@calcfunction
def add_predictions(frames: FramesData, predictions: orm.ArrayData) -> FramesData:
    """Return frames with what a potential predicts in the place of labels.

    :param predictions: `energy` (eV), `forces` (eV/Å) and `stress` (eV/Å³) of all frames.
    """
    columns = {name: predictions.get_array(name) for name in ('energy', 'forces', 'stress')}
    return FramesData(frames.frames.replace(**columns, labelled=True, has_stress=True))


@calcfunction
def make_rested_crystals(crystals: FramesData, config: orm.Dict, results: FramesData) -> dict[str, FramesData]:
    """Return the crystals at the equilibrium of a method as `crystals`; those without one are left out.

    :param results: labelled structures of the equations of state.
    """
    found = plan.sorted_results(results.frames)
    rested = rows.crystals_at_rest(plan.unpack_crystals(crystals.frames), found, config['properties'])
    return {'crystals': FramesData(plan.pack_crystals(rested))} if rested else {}


@calcfunction
def make_property_frames(crystals: FramesData, config: orm.Dict, other: FramesData) -> dict[str, FramesData]:
    """Return the structures of all properties of crystals at rest as `frames`, and those to be relaxed as `vacancies`.

    :param crystals: at the equilibrium of one method.
    :param other: at that of the other method; a crystal that has none there cannot be compared, and is left out.
    """
    shared = {crystal.name for crystal in plan.unpack_crystals(other.frames)}
    chosen = [crystal for crystal in plan.unpack_crystals(crystals.frames) if crystal.name in shared]
    frames = plan.property_frames(chosen, config['properties'])
    parts = [plan.part_of(atoms) for atoms in frames]
    vacancies = [index for index, part in enumerate(parts) if part[1:] == (plan.VACANCY, VACANCY)]
    found = {'frames': frames, 'vacancies': frames.take(vacancies)}
    return {name: FramesData(part) for name, part in found.items() if len(part)}


@calcfunction
def move_vacancies(frames: FramesData, relaxed: FramesData) -> FramesData:
    """Return the structures of all properties with the relative positions of relaxed vacancies, in their own cells."""
    moved = {plan.part_of(atoms): atoms for atoms in relaxed.frames}
    found = []
    for atoms in frames.frames:
        part = plan.part_of(atoms)
        changed = with_places_of(atoms, moved[part]) if part in moved else atoms
        changed.info.pop('uid', None)
        changed.info.pop('lineage', None)
        found.append(changed)
    return FramesData(Frames.from_atoms(found))


@calcfunction
def drop_vacancies(frames: FramesData) -> dict[str, FramesData]:
    """Return as `frames` the structures of all properties but the vacancies, which could not be relaxed."""
    keep = [index for index, atoms in enumerate(frames.frames) if plan.part_of(atoms)[1] != plan.VACANCY]
    return {'frames': FramesData(frames.frames.take(keep))} if keep else {}


@calcfunction
def make_expansion_frames(crystals: FramesData, config: orm.Dict) -> dict[str, orm.Data]:
    """Return the crystals at rest, repeated, as `frames`; and as `settings_000`, … the simulation of each temperature."""
    values = config['properties'][plan.EXPANSION]
    rested = plan.unpack_crystals(crystals.frames)
    repeated = [Crystal(crystal.name, plan.repeated(crystal.atoms, values['n_atoms'])) for crystal in rested]
    common = {
        'kind': 'npt',
        'anisotropic': any(crystal.family is not Family.CUBIC for crystal in rested),
        'seed': 1 + config['seed'],
        **{name: values[name] for name in ('timestep', 'equilibration', 'steps')},
    }
    nodes: dict[str, orm.Data] = {'frames': FramesData(plan.pack_crystals(repeated))}
    for number, temperature in enumerate(values['temperatures']):
        nodes[f'settings_{number:03d}'] = orm.Dict({**common, 'temperature': temperature})
    return nodes


@calcfunction
def judge_properties(config: orm.Dict, crystals: FramesData, outcome: orm.Dict, **parts: orm.Data) -> orm.Dict:
    """Return the report of the gate: `passed`, `rows`, curves to draw, and how many labels it took.

    :param crystals: as the configuration has them.
    :param outcome: `failures`, sentences on jobs that failed; `n_reused`, labels that were there before.
    :param parts: `potential_*` and `reference_*`: `rest` and `rest_crystals` of the equations of state, and `found` at rest;
        `expansion_frames` and `expansion_000`, …, averages of MD; whatever there is of them.
    """
    settings, known = config['properties'], plan.unpack_crystals(crystals.frames)
    methods = _method('potential', parts), _method('reference', parts)
    names = [plan.EOS, *plan.properties_at_rest(settings)]
    found = rows.property_rows(names, known, methods, settings) + _expansion(settings, known, parts)
    n_labels = sum(len(node) for name, node in parts.items() if name in ('reference_rest', 'reference_found'))
    return orm.Dict(
        {
            'passed': rows.verdict(found),
            'rows': [row.to_dict() for row in found],
            'crystals': [crystal.name for crystal in known],
            'curves': rows.eos_curves(methods),
            'n_reference': n_labels,
            **outcome.get_dict(),
        }
    )


def _method(name: str, parts: Mapping[str, Any]) -> rows.Method:
    rested = parts.get(f'{name}_rest_crystals')
    labelled = [parts[port].frames for port in (f'{name}_rest', f'{name}_found') if port in parts]
    crystals = plan.unpack_crystals(rested.frames) if rested is not None else []
    return rows.Method(name, {crystal.name: crystal for crystal in crystals}, plan.sorted_results(Frames.concatenate(labelled)))


def _expansion(settings: Mapping[str, Any], crystals: list[Crystal], parts: Mapping[str, Any]) -> list[rows.Row]:
    """Return the rows of the expansion of each crystal."""
    asked = settings.get(plan.EXPANSION)
    if not asked:
        return []
    wanted = asked['temperatures']
    volumes = _volumes(wanted, parts)
    found: list[rows.Row] = []
    for crystal in crystals:
        own = volumes.get(crystal.name, {})
        reference = asked['reference'].get(crystal.name)
        if len(own) == len(wanted):
            found += rows.expansion_rows(crystal.name, own, reference, asked['error'])
        else:
            note = f'MD at constant pressure did not come to its end at {len(wanted) - len(own)} of {len(wanted)} temperatures'
            found.append(rows.Row(crystal.name, plan.EXPANSION, rows.ALPHA, rows.EXPANSION_UNIT, passed=False, note=note))
    return found


def _volumes(temperatures: list[float], parts: Mapping[str, Any]) -> dict[str, dict[float, float]]:
    """Return the mean volumes, Å³/atom, by crystal and temperature."""
    volumes: dict[str, dict[float, float]] = {}
    starts = parts['expansion_frames'].frames if 'expansion_frames' in parts else ()
    for number, temperature in enumerate(temperatures):
        report = parts.get(f'{EXPANSION_PORT}{number:03d}')
        for atoms, averages in zip(starts, report['averages'], strict=True) if report is not None else ():
            volumes.setdefault(plan.part_of(atoms)[0], {})[temperature] = float(np.divide(averages['volume'], len(atoms)))
    return volumes
