"""Calcfunctions around Quantum ESPRESSO: settings completed, frames divided into jobs, results packed as labelled frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from ase import Atoms

from aiida_mlip_autopipe.calculations.pw_inputs import pw_inputs
from aiida_mlip_autopipe.common.fingerprint import fingerprint_of
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.reasons import FrameFailure, LabelError
from aiida_mlip_autopipe.common.reports import LabelReport
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import RHO_TO_WFC, DFTConfig
from aiida_mlip_autopipe.engines.espresso.output import level_of_theory, read_result
from aiida_mlip_autopipe.science.batches import equal_batches
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.quarantine import label_report, quarantined, without_outliers

DIGITS = 5
"""Digits of the frame index in the names of nodes."""


def port_of(kind: str, index: int) -> str:
    """Return the name of the node of frame `index`, such as `structure_00003`."""
    return f'{kind}_{index:0{DIGITS}d}'


def completed(config: DFTConfig, pseudos: Mapping[str, Mapping[str, Any]]) -> DFTConfig:
    """Return the settings with what the protocol of aiida-quantumespresso and the family of pseudopotentials give.

    :param pseudos: for each element; `cutoff_wfc` and `cutoff_rho` (Ry) where the family recommends them.
    """
    is_open = {'cutoff_rho', *config.missing}  # elsewhere null is an answer: no outliers, no correction
    known = {name: value for name, value in config.model_dump().items() if value is not None or name not in is_open}
    if config.protocol is not None:
        known = {**_of_protocol(config.protocol), **known}
    recommended = {
        name: max(facts[name] for facts in pseudos.values())
        for name in ('cutoff_wfc', 'cutoff_rho')
        if pseudos and all(facts.get(name) for facts in pseudos.values())
    }
    if recommended and 'cutoff_rho' not in known:
        dual = max(RHO_TO_WFC, *(facts['cutoff_rho'] / facts['cutoff_wfc'] for facts in pseudos.values()))
        recommended['cutoff_rho'] = dual * known['cutoff_wfc'] if 'cutoff_wfc' in known else recommended['cutoff_rho']
    return DFTConfig.model_validate({**recommended, **known})


def _of_protocol(protocol: str) -> dict[str, Any]:
    """Return the fields of `DFTConfig` that a protocol of aiida-quantumespresso gives."""
    inputs = PwBaseWorkChain.get_protocol_inputs(protocol)
    parameters = inputs['pw']['parameters']
    return {
        'pseudo_family': inputs['pseudo_family'],
        'kpoints_distance': inputs['kpoints_distance'],
        'conv_thr_per_atom': inputs['meta_parameters']['conv_thr_per_atom'],
        **{name: parameters['SYSTEM'][name] for name in ('smearing', 'degauss')},
        **{name: parameters['ELECTRONS'][name] for name in ('mixing_beta', 'electron_maxstep')},
    }


@calcfunction
def complete_settings(settings: orm.Dict, pseudos: orm.Dict) -> orm.Dict:
    """Return the settings with what the protocol and the family of pseudopotentials give.

    :param pseudos: facts of the pseudopotentials; cutoffs stand with the elements of the system.
    """
    recommended = {element: facts for element, facts in pseudos.get_dict().items() if 'cutoff_wfc' in facts}
    return orm.Dict(completed(DFTConfig.model_validate(settings.get_dict()), recommended).model_dump())


@calcfunction
def plan_batches(frames: FramesData, settings: orm.Dict, pseudos: orm.Dict, done: orm.List) -> orm.List:
    """Return for each job the indices of its frames, so that the jobs are about equally long.

    :param pseudos: `z_valence` of the pseudopotential of each element.
    :param done: indices of frames that need no calculation.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    pool = frames.frames
    left = sorted(set(range(len(pool))) - set(done))
    valence = {element: facts['z_valence'] for element, facts in pseudos.items()}
    costs = [pw_inputs(pool.atoms(index), config, valence).cost for index in left]
    jobs = equal_batches(costs, n_jobs=config.max_concurrent, max_frames=config.frames_per_job)
    return orm.List([[left[position] for position in job] for job in jobs])


@calcfunction
def prepare_label(frames: FramesData, settings: orm.Dict, pseudos: orm.Dict, index: orm.Int) -> dict[str, orm.Data]:
    """Return the structure of a frame, its k-point mesh and the parameters of `pw.x`.

    :param pseudos: `z_valence` of the pseudopotential of each element.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    valence = {element: facts['z_valence'] for element, facts in pseudos.items()}
    inputs = pw_inputs(frames.frames.atoms(index.value), config, valence)
    return {'structure': inputs.structure, 'kpoints': inputs.kpoints, 'parameters': inputs.parameters}


@dataclass
class _Found:
    """Labels and failures by index of the frame, and the levels of theory of the labels by fingerprint."""

    labelled: dict[int, Atoms] = field(default_factory=dict)
    failures: dict[int, FrameFailure] = field(default_factory=dict)
    levels: dict[str, dict[str, Any]] = field(default_factory=dict)


@calcfunction
def collect_labels(
    frames: FramesData, settings: orm.Dict, pseudos: orm.Dict, outcome: orm.Dict, **results: orm.Data
) -> dict[str, orm.Data]:
    """Return the labelled frames, the quarantined frames and the report of a labelling.

    :param pseudos: `md5` of every pseudopotential of the family, so that frames with fewer elements get the same fingerprint.
    :param outcome: `failures`, reason and detail by index; `remedies`, what mended a frame by index; `levels` of reused labels by
        fingerprint; `recipe` and `warnings`.
    :param results: `batch_00000` and `report_00000`, … of the jobs; `parameters_00000` and `trajectory_00000`, … of recovered
        frames; `reused` and `reused_indices`.
    """
    config = DFTConfig.model_validate(settings.get_dict())
    pool = frames.frames
    found = _Found(failures={int(index): FrameFailure.from_mapping(entry) for index, entry in outcome['failures'].items()})
    reused = _add_reused(found, config, results)
    _add_batches(found, results)
    _add_recovered(found, config, config.theory({element: facts['md5'] for element, facts in pseudos.items()}), pool, results)
    indices = sorted(found.labelled)
    labelled = Frames.from_atoms(found.labelled[index] for index in indices)
    kept, outliers = without_outliers(indices, labelled, config.outlier_zscore)
    failed = found.failures | outliers
    labelled = labelled.take(kept)
    used = set(labelled.fingerprint.tolist())
    levels = {name: level for name, level in {**outcome['levels'], **found.levels}.items() if name in used}
    remedies = {str(index): name for index, name in outcome['remedies'].items() if int(index) in found.labelled}
    report: LabelReport = {
        **label_report(pool, failed, levels),
        'remedies': remedies,
        'n_recovered': len(remedies),
        'n_reused': len(reused),
        'recipe': outcome['recipe'],
        'warnings': outcome['warnings'],
        'uids': labelled.uid.tolist(),
    }
    nodes: dict[str, orm.Data] = {'report': orm.Dict(report)}
    if len(labelled):
        nodes['labelled'] = FramesData(labelled)
    if failed:
        nodes['quarantined'] = FramesData(quarantined(pool, failed))
    return nodes


def _add_reused(found: _Found, config: DFTConfig, results: Mapping[str, orm.Data]) -> list[int]:
    """Add the labels that were there before, judged by the settings of today, and return their indices."""
    if 'reused' not in results:
        return []
    for index, atoms in zip(results['reused_indices'], results['reused'].frames, strict=True):
        label = Label(*(atoms.calc.results.get(name) for name in ('energy', 'forces', 'stress')))
        if failure := label.failure(force_cap=config.force_cap):
            found.failures[index] = failure
        else:
            found.labelled[index] = atoms
    return sorted(results['reused_indices'])


def _add_batches(found: _Found, results: Mapping[str, orm.Data]) -> None:
    """Add the frames that jobs labelled."""
    for name in sorted(name for name in results if name.startswith('batch_')):
        report = results[name.replace('batch_', 'report_')]
        found.labelled.update(zip(report['labelled'], results[name].frames, strict=True))
        found.levels.update(report['levels_of_theory'])


def _add_recovered(
    found: _Found, config: DFTConfig, theory: Mapping[str, Any], pool: Frames, results: Mapping[str, orm.Data]
) -> None:
    """Add the frames that a remedy mended, or why they are no labels all the same."""
    for name in sorted(name for name in results if name.startswith('trajectory_')):
        index = int(name.removeprefix('trajectory_'))
        parameters = results[port_of('parameters', index)]
        try:
            result = read_result(parameters.get_dict(), _last_step(results[name]))
        except LabelError as error:
            found.failures[index] = error.failure
            continue
        label = Label(result.energy, result.forces, result.stress)
        if failure := label.failure(force_cap=config.force_cap, is_converged=result.converged):
            found.failures[index] = failure
            continue
        level = level_of_theory(theory, result)
        found.levels[fingerprint_of(level)] = level
        uuid = parameters.creator.uuid
        found.labelled[index] = label.put_on(pool.atoms(index), fingerprint=fingerprint_of(level), label_uuid=uuid)


def _last_step(trajectory: orm.ArrayData) -> dict[str, np.ndarray[Any, Any]]:
    return {name: trajectory.get_array(name)[-1] for name in ('forces', 'stress') if name in trajectory.get_arraynames()}
