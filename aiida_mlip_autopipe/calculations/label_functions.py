"""Calcfunctions around Quantum ESPRESSO: frames into the inputs of `pw.x`, its outputs into labelled frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from aiida.plugins import DataFactory

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames
from aiida_mlip_autopipe.config.label import DFTConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.espresso import QeResult, pw_parameters, read_result
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.quarantine import Failure, label_report

KpointsData = DataFactory('core.array.kpoints')
DIGITS = 5
"""Digits of the frame index in the names of nodes."""


def port_of(kind: str, index: int) -> str:
    """Return the name of the node of frame `index`, such as `structure_00003`."""
    return f'{kind}_{index:0{DIGITS}d}'


@calcfunction
def prepare_labels(frames: FramesData, settings: orm.Dict, pseudos: orm.Dict) -> dict[str, orm.Data]:
    """Return for each frame its structure, its k-point mesh and the parameters of `pw.x`.

    :param pseudos: `md5` and `z_valence` of the pseudopotential of each element.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    facts = {**config.model_dump(), 'charge_cutoff': config.charge_cutoff}
    nodes: dict[str, orm.Data] = {}
    for index, atoms in enumerate(frames.frames):
        structure = orm.StructureData(ase=_bare(atoms))
        kpoints = KpointsData()
        kpoints.set_cell_from_structure(structure)
        if atoms.info.get('config_type') == ISOLATED_ATOM:
            kpoints.set_kpoints_mesh([1, 1, 1])
        else:
            kpoints.set_kpoints_mesh_from_density(config.kpoints_distance)
        nodes[port_of('structure', index)] = structure
        nodes[port_of('kpoints', index)] = kpoints
        n_electrons = sum(pseudos[symbol]['z_valence'] for symbol in atoms.symbols)
        nodes[port_of('parameters', index)] = orm.Dict(pw_parameters(facts, len(atoms), n_electrons))
    return nodes


@calcfunction
def collect_labels(
    frames: FramesData, settings: orm.Dict, pseudos: orm.Dict, failures: orm.Dict, **results: orm.Data
) -> dict[str, orm.Data]:
    """Return the labelled frames, the quarantined frames and the report of a labelling.

    :param pseudos: `md5` of every pseudopotential of the family, so that frames with fewer elements get the same fingerprint.
    :param failures: reason by index, of the frames whose calculation failed.
    :param results: `parameters_00000` and `trajectory_00000`, … of the frames whose calculation succeeded.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    pool = frames.frames
    failed = [Failure(int(index), str(pool.uid[int(index)]), reason) for index, reason in failures.get_dict().items()]
    labelled: list[Any] = []
    levels: dict[str, dict[str, Any]] = {}
    for name in sorted(results):
        if not name.startswith('trajectory_'):
            continue
        index = int(name.removeprefix('trajectory_'))
        parameters = results[port_of('parameters', index)]
        try:
            result = read_result(parameters.get_dict(), _last_step(results[name]))
        except FormatError as error:
            failed.append(Failure(index, str(pool.uid[index]), str(error)))
            continue
        label = Label(result.energy, result.forces, result.stress)
        if reason := label.problem(force_cap=config.force_cap, is_converged=result.converged):
            failed.append(Failure(index, str(pool.uid[index]), reason))
            continue
        level = _level_of_theory(config, pseudos.get_dict(), result)
        levels[fingerprint_of(level)] = level
        labelled.append(label.put_on(pool.atoms(index), fingerprint=fingerprint_of(level), label_uuid=parameters.creator.uuid))
    report = label_report(len(pool), failed, levels)
    return _pack(pool, labelled, failed, report)


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


def _level_of_theory(config: DFTConfig, pseudos: dict[str, dict[str, Any]], result: QeResult) -> dict[str, Any]:
    names = ('cutoff_wfc', 'charge_cutoff', 'kpoints_distance', 'smearing', 'degauss')
    return {
        'code': 'Quantum ESPRESSO pw.x',
        'code_version': result.code_version,
        'functional': result.functional,
        'pseudos': {element: pseudo['md5'] for element, pseudo in sorted(pseudos.items())},
        'spin': result.spin,
        **{name: getattr(config, name) for name in names},
    }
