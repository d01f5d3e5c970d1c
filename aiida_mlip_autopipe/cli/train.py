"""What the commands train and evaluate do: one training on labelled frames, and what a potential makes of frames."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida import orm

from aiida_mlip_autopipe.calculations.evaluate import EvaluateCalculation
from aiida_mlip_autopipe.calculations.frames_functions import split_frames
from aiida_mlip_autopipe.calculations.spec import job_options
from aiida_mlip_autopipe.calculations.train_functions import separate_references
from aiida_mlip_autopipe.cli.frozen_errors import pressure_remarks
from aiida_mlip_autopipe.cli.nodes import load_potential, load_typed, require_daemon, submitted, tell_end
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM
from aiida_mlip_autopipe.common.reports import CheckEntry, SetErrors, TrainReport
from aiida_mlip_autopipe.common.units import GPA, MILLI
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from aiida_mlip_autopipe.science.split import held_out_share
from aiida_mlip_autopipe.workflows.edge import find_code, find_stage_code
from aiida_mlip_autopipe.workflows.train import TrainWorkChain, validate_inputs


def submit_train(frames: str, path: Path, *, test: str | None, references: str | None, wait: bool) -> orm.WorkChainNode:
    """Submit a training on labelled frames, wait for its end where asked, and return its node.

    :param frames: PK or uuid of labelled frames.
    :param path: configuration of a run, of which `system.elements`, `train`, `worker`, `seed` and `loop.test_labels` count.
    :param test: PK of the test set; None sets whole lineages of the frames aside.
    :param references: PK of the isolated atoms; None takes those among the frames.
    :raises InputError: a mistake in the file, frames that cannot be trained on, or no daemon; nothing is submitted then.
    """
    config = MLIPConfig.from_yaml(path)
    load_profile()
    labelled = load_typed(frames, FramesData, 'FRAMES_PK')
    worker = find_code(config.worker.code, 'worker.code')
    inputs: dict[str, Any] = {
        **_frame_sets(labelled, config, test=test, references=references),
        'code': find_stage_code(config.train, config.worker.code),
        'evaluate_code': worker,
        'elements': orm.List(list(config.system.elements)),
        'settings': orm.Dict(config.train.model_dump(mode='json')),
        'seed': orm.Int(config.seed),
        'options': orm.Dict(config.worker.options.model_dump(mode='json')),
    }
    if problem := validate_inputs(inputs, None):
        raise InputError(problem)
    require_daemon()
    metadata = {'label': config.name, 'description': f'training of {config.name} on {labelled.uuid} by {path.resolve()}'}
    node = submitted(TrainWorkChain, **inputs, metadata=metadata)
    if wait:
        tell_end(node, training_lines)
    return node


def submit_evaluate(potential: str, frames: str, *, code: str, wait: bool) -> orm.CalcJobNode:
    """Submit the evaluation of a potential on frames, print errors and grades where asked to wait, and return its node.

    :param potential: PK or uuid of the potential, or of a process that has one as output.
    :param frames: PK or uuid of frames, or the path of an extxyz file.
    :param code: label of the code of `mlip-worker`.
    :raises InputError: no such potential, frames or code, or no daemon; nothing is submitted then.
    """
    load_profile()
    data = load_potential(potential)
    subject = _frames_of(frames)
    unknown = sorted(set(subject.base.attributes.get('elements')) - set(data.elements))
    if unknown:
        raise InputError(f'FRAMES: hold {unknown}, which the potential of {data.elements} does not know')
    worker = find_code(code, '--code')
    require_daemon()
    job = {'code': worker, 'potential': data, 'frames': subject, 'metadata': {'options': job_options({})}}
    node = submitted(EvaluateCalculation, then='watch it with: verdi process show {pk}', **job)
    if wait:
        tell_end(node, lambda node: evaluation_lines(node) if node.is_finished_ok else ())
    return node


def training_lines(node: orm.WorkChainNode) -> list[str]:
    """Return the lines that sum up a training: errors on both sets, each check with its number, and the potential."""
    if 'report' not in node.outputs:
        return []
    report: TrainReport = node.outputs.report.get_dict()
    sets = (('train', report['train_errors']), ('test', report['test_errors']))
    lines = [_error_line(name, errors) for name, errors in sets if errors is not None]
    lines += [report['test_caution']] if report.get('test_caution') else []
    fit = report.get('fit') or {}
    lines += pressure_remarks({**fit, 'stress_noise': (fit.get('noise') or {}).get('stress')})
    lines += [_check_line(check) for check in report['checks']]
    return [*lines, f'potential: PK {node.outputs.potential.pk}']


def evaluation_lines(node: orm.CalcJobNode) -> list[str]:
    """Return the lines that sum up an evaluation: errors where there are labels, the highest grade, and where the arrays are."""
    report = node.outputs.report.get_dict()
    errors = _error_line('errors', report['errors']) if report['errors'] else 'errors: the frames have no labels'
    gamma = report['gamma_max']
    grade = 'the potential has no active set' if gamma is None else f'up to {gamma:.3g}'
    lines = [f'{report["n_frames"]} frames', errors, f'grade: {grade}']
    if report.get('force_spread_max') is not None:
        lines.append(f'stated standard deviation of the forces: up to {MILLI * report["force_spread_max"]:.0f} meV/Å')
    if calibration := report.get('calibration'):
        parts = ', '.join(f'{name} {calibration[name]["rms"]:.2f}' for name in ('energy', 'force'))
        lines.append(f'errors over the stated standard deviation (rms, 1 is right): {parts}')
    return [*lines, f'predictions: PK {node.outputs.predictions.pk}']


def _frame_sets(labelled: FramesData, config: MLIPConfig, *, test: str | None, references: str | None) -> dict[str, FramesData]:
    """Return the sets that a training needs; without isolated atoms the trainer fits an energy of each element, if it can."""
    _require_labels(labelled, 'FRAMES_PK')
    given = {'references': load_typed(references, FramesData, '--references')} if references else {}
    test_frames = load_typed(test, FramesData, '--test') if test else None
    has_own = ISOLATED_ATOM in labelled.base.attributes.get('config_types')
    if not given and not has_own:
        click.echo(
            f'{labelled.pk} holds no isolated atoms (config_type {ISOLATED_ATOM}) and none were given with --references: '
            'an energy of each element is fitted in their place'
        )
    if test_frames is not None:
        parts = separate_references(labelled)
        if 'rest' not in parts:
            raise InputError(f'FRAMES_PK: got {labelled.pk}, which holds isolated atoms only')
        own = {'references': parts['references']} if has_own else {}
        return {'train_frames': parts['rest'], 'test_frames': test_frames, **own, **given}
    n_frames = sum(kind != ISOLATED_ATOM for kind in labelled.frames.config_type.tolist())
    fraction = orm.Float(held_out_share(n_frames, config.loop.test_labels))
    split, node = split_frames.run_get_node(labelled, fraction, orm.Int(config.seed))
    if not node.is_finished_ok:
        raise InputError(f'FRAMES_PK: got {labelled.pk}; {node.exit_message}; give a test set with --test')
    own = {'references': split['references']} if has_own else {}
    return {'train_frames': split['train'], 'test_frames': split['test'], **own, **given}


def _require_labels(node: FramesData, name: str) -> None:
    n_frames, n_labelled = (node.base.attributes.get(key) for key in ('n_frames', 'n_labelled'))
    if n_labelled != n_frames:
        raise InputError(f'{name}: got {node.pk}; {n_frames - n_labelled} of its {n_frames} frames are not labelled')


def _frames_of(frames: str) -> FramesData:
    """Return the frames of a file when there is one of that name, else those of a node."""
    path = Path(frames)
    if path.is_file():
        return FramesData(read_extxyz(path))
    if path.suffix:
        raise InputError(f'FRAMES: got {frames!r}; there is no such file')
    return load_typed(frames, FramesData, 'FRAMES')


def _error_line(name: str, errors: SetErrors) -> str:
    stress = '' if (found := errors.get('stress_rmse')) is None else f', stress {found / GPA:.3f} GPa'
    return (
        f'{name}: energy {MILLI * errors["energy_rmse"]:.2f} meV/atom, force {MILLI * errors["force_rmse"]:.1f} meV/Å{stress} '
        f'(rms of {errors["n_frames"]} frames)'
    )


def _check_line(check: CheckEntry) -> str:
    verdict = {True: 'passed', False: 'FAILED', None: 'not made'}[check['passed']]
    number = '' if check['value'] is None else f'{check["value"]:.3g}'
    limit = '' if check['limit'] is None else f' of {check["limit"]:g}'
    return f'{check["check"]:<18} {verdict:<8} {number}{limit} {check["unit"]}'.rstrip()
