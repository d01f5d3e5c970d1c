"""Calcfunctions around Quantum ESPRESSO: frames into the inputs of `pw.x`, its outputs into labelled frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from aiida.plugins import DataFactory
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.espresso import QeResult, pw_parameters, read_result
from aiida_mlip_autopipe.science.batches import equal_batches
from aiida_mlip_autopipe.science.label import Label, predicted_cost
from aiida_mlip_autopipe.science.quarantine import Failure, label_report

KpointsData = DataFactory('core.array.kpoints')
DIGITS = 5
"""Digits of the frame index in the names of nodes."""


def port_of(kind: str, index: int) -> str:
    """Return the name of the node of frame `index`, such as `structure_00003`."""
    return f'{kind}_{index:0{DIGITS}d}'


@dataclass(frozen=True, eq=False)
class PwInputs:
    """The unstored nodes that describe one run of `pw.x`.

    :param n_electrons: valence electrons in the cell.
    """

    structure: orm.StructureData
    kpoints: Any
    parameters: orm.Dict
    n_electrons: float


def pw_inputs(atoms: Atoms, config: DFTConfig, valence: Mapping[str, float]) -> PwInputs:
    """Return what `pw.x` needs to know of a structure, as `PwBaseWorkChain` would choose it.

    :param valence: valence electrons of the pseudopotential of each element.
    """
    structure = orm.StructureData(ase=_bare(atoms))
    kpoints = KpointsData()
    kpoints.set_cell_from_structure(structure)
    if atoms.info.get('config_type') == ISOLATED_ATOM:
        kpoints.set_kpoints_mesh([1, 1, 1])
    else:
        kpoints.set_kpoints_mesh_from_density(config.kpoints_distance)
    n_electrons = float(sum(valence[symbol] for symbol in atoms.symbols))
    facts = {**config.model_dump(), 'charge_cutoff': config.charge_cutoff}
    return PwInputs(structure, kpoints, orm.Dict(pw_parameters(facts, len(atoms), n_electrons)), n_electrons)


@calcfunction
def plan_batches(frames: FramesData, settings: orm.Dict, pseudos: orm.Dict) -> orm.List:
    """Return for each job the indices of its frames, so that the jobs are about equally long.

    :param pseudos: `z_valence` of the pseudopotential of each element.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    costs = []
    for atoms in frames.frames:
        inputs = pw_inputs(atoms, config, {symbol: pseudos[symbol]['z_valence'] for symbol in set(atoms.symbols)})
        mesh, _ = inputs.kpoints.get_kpoints_mesh()
        costs.append(predicted_cost(inputs.n_electrons, int(np.prod(mesh)), inputs.structure.get_cell_volume()))
    return orm.List(equal_batches(costs, n_jobs=config.max_concurrent, max_frames=config.frames_per_job))


@calcfunction
def prepare_labels(frames: FramesData, settings: orm.Dict, pseudos: orm.Dict) -> dict[str, orm.Data]:
    """Return for each frame its structure, its k-point mesh and the parameters of `pw.x`.

    :param pseudos: `md5` and `z_valence` of the pseudopotential of each element.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    nodes: dict[str, orm.Data] = {}
    for index, atoms in enumerate(frames.frames):
        inputs = pw_inputs(atoms, config, {symbol: pseudos[symbol]['z_valence'] for symbol in set(atoms.symbols)})
        nodes[port_of('structure', index)] = inputs.structure
        nodes[port_of('kpoints', index)] = inputs.kpoints
        nodes[port_of('parameters', index)] = inputs.parameters
    return nodes


@calcfunction
def collect_labels(
    frames: FramesData, settings: orm.Dict, pseudos: orm.Dict, outcome: orm.Dict, **results: orm.Data
) -> dict[str, orm.Data]:
    """Return the labelled frames, the quarantined frames and the report of a labelling.

    :param pseudos: `md5` of every pseudopotential of the family, so that frames with fewer elements get the same fingerprint.
    :param outcome: `failures`, the reason by index, and `remedies`, what mended a frame by index.
    :param results: `batch_00000` and `report_00000`, … of the jobs; `parameters_00000` and `trajectory_00000`, … of recovered frames.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    pool = frames.frames
    failures = {int(index): reason for index, reason in outcome['failures'].items()}
    labelled, levels = _of_batches(results)
    checksums = {element: facts['md5'] for element, facts in pseudos.get_dict().items()}
    for name in sorted(name for name in results if name.startswith('trajectory_')):
        index = int(name.removeprefix('trajectory_'))
        parameters = results[port_of('parameters', index)]
        try:
            result = read_result(parameters.get_dict(), _last_step(results[name]))
        except FormatError as error:
            failures[index] = str(error)
            continue
        label = Label(result.energy, result.forces, result.stress)
        if reason := label.problem(force_cap=config.force_cap, is_converged=result.converged):
            failures[index] = reason
            continue
        level = level_of_theory(config, checksums, result)
        levels[fingerprint_of(level)] = level
        labelled[index] = label.put_on(pool.atoms(index), fingerprint=fingerprint_of(level), label_uuid=parameters.creator.uuid)
    failed = [Failure(index, str(pool.uid[index]), reason) for index, reason in failures.items()]
    report = label_report(len(pool), failed, levels)
    report['remedies'] = {index: name for index, name in outcome['remedies'].items() if int(index) in labelled}
    report['n_recovered'] = len(report['remedies'])
    return _pack(pool, [labelled[index] for index in sorted(labelled)], failed, report)


def _of_batches(results: Mapping[str, orm.Data]) -> tuple[dict[int, Atoms], dict[str, dict[str, Any]]]:
    """Return the frames that jobs labelled, by index, and their levels of theory."""
    labelled: dict[int, Atoms] = {}
    levels: dict[str, dict[str, Any]] = {}
    for name in sorted(name for name in results if name.startswith('batch_')):
        report = results[name.replace('batch_', 'report_')]
        labelled.update(zip(report['labelled'], results[name].frames, strict=True))
        levels.update(report['levels_of_theory'])
    return labelled, levels


def _pack(pool: Frames, labelled: list[Any], failed: list[Failure], report: dict[str, Any]) -> dict[str, orm.Data]:
    nodes: dict[str, orm.Data] = {'report': orm.Dict(report)}
    if labelled:
        nodes['labelled'] = FramesData(Frames.from_atoms(labelled))
    if failed:
        nodes['quarantined'] = FramesData(pool.take(sorted(failure.index for failure in failed)))
    return nodes


def _bare(atoms: Any) -> Any:
    bare = atoms.copy()
    bare.info, bare.calc = {}, None
    return bare


def _last_step(trajectory: orm.ArrayData) -> dict[str, np.ndarray[Any, Any]]:
    return {name: trajectory.get_array(name)[-1] for name in ('forces', 'stress') if name in trajectory.get_arraynames()}


def level_of_theory(config: DFTConfig, pseudos: Mapping[str, str], result: QeResult) -> dict[str, Any]:
    """Return what determines the numbers of a calculation.

    :param pseudos: md5 of the pseudopotential of each element of the system.
    """
    names = ('cutoff_wfc', 'charge_cutoff', 'kpoints_distance', 'smearing', 'degauss')
    return {
        'code': 'Quantum ESPRESSO pw.x',
        'code_version': result.code_version,
        'functional': result.functional,
        'pseudos': dict(sorted(pseudos.items())),
        'spin': result.spin,
        **{name: getattr(config, name) for name in names},
    }
