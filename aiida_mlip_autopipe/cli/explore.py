"""What the command explore does: MD with a potential that exists already."""

from __future__ import annotations

from pathlib import Path

import click
from aiida import orm
from aiida.common.exceptions import NotExistent

from aiida_mlip_autopipe.calculations.frames_functions import pick_starts
from aiida_mlip_autopipe.cli.nodes import load_potential, load_typed, require_daemon, submitted, tell_end
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.reports import ExploreReport
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.edge import find_stage_code
from aiida_mlip_autopipe.workflows.explore import ExploreWorkChain, validate_inputs

ROUND = 0
"""Round that candidates of a single exploration are given: they belong to no loop."""


def submit_explore(potential_pk: str, config: Path, starts: str | None, wait: bool) -> orm.WorkChainNode:
    """Submit an exploration, wait for its end where asked, and return its node.

    :param potential_pk: PK or uuid of a potential with an active set, or of a process that made one.
    :param config: YAML file of a run, of which the sections explore, worker and the seed are used.
    :param starts: PK or uuid of frames, each of which is a start as it is; when None, starts are picked from the training
        frames of the potential, as the loop does.
    :raises InputError: a mistake in the file, a node that is missing or does not fit, or no daemon; nothing is submitted then.
    """
    checked = MLIPConfig.from_yaml(config)
    load_profile()
    code = find_stage_code(checked.explore, checked.worker.code)
    potential = load_potential(potential_pk)
    if not potential.record.active_set:
        raise InputError(f'POTENTIAL_PK: got {potential_pk!r}, a potential without an active set: it has no extrapolation grade')
    source = _training_frames(potential) if starts is None else load_typed(starts, FramesData, '--starts')
    _require_elements(source, potential)
    settings, seed = orm.Dict(checked.explore.model_dump(mode='json')), orm.Int(checked.seed)
    if problem := validate_inputs({'potential': potential, 'settings': settings}, None):
        raise InputError(problem)
    require_daemon()
    for warning in checked.explore.warnings:
        click.echo(f'warning: {warning}', err=True)
    node = submitted(
        ExploreWorkChain,
        code=code,
        potential=potential,
        starts=pick_starts(source, settings, seed) if starts is None else source,
        settings=settings,
        seed=seed,
        round=orm.Int(ROUND),
        options=orm.Dict(checked.worker.options.model_dump()),
        metadata={'label': checked.name, 'description': f'{checked.name} from {config.resolve()}'},
    )
    if wait:
        tell_end(node, _end_lines)
    return node


def exploration_lines(report: ExploreReport) -> list[str]:
    """Return the lines that tell an exploration: one for each trajectory, and the totals."""
    lines = []
    for run in report['trajectories']:
        grade = 'unknown' if run['gamma_max'] is None else f'{run["gamma_max"]:.3g}'
        above = _percent(run.get('share_above_select'))
        lines.append(
            f'  {run["temperature"]:g} K  start {run["start"]}  {run["reason"]} after {run["steps_done"]} steps, '
            f'highest grade {grade}, above the threshold {above}, {run["n_candidates"]} candidates'
            + (f': {run["message"]}' if run['message'] else '')
        )
    lines.append(
        f'{report["n_trajectories"]} trajectories, {report["n_stopped"]} stopped, {report["n_candidates"]} candidates '
        f'({report["n_duplicates"]} duplicates, {report["n_uncut"]} too large), '
        f'above the threshold {_percent(report["share_above_select"])} of the time'
    )
    return lines


def _training_frames(potential: PotentialData) -> FramesData:
    uuid = potential.record.training_uuid
    try:
        node = orm.load_node(uuid=uuid) if uuid else None
    except NotExistent:
        node = None
    if not isinstance(node, FramesData):
        raise InputError(
            f'the potential {potential.pk} does not know its training frames (uuid {uuid or "not recorded"}); '
            'give start structures: --starts FRAMES_PK'
        )
    return node


def _require_elements(frames: FramesData, potential: PotentialData) -> None:
    unknown = sorted(set(frames.base.attributes.get('elements')) - set(potential.elements))
    if unknown:
        raise InputError(f'elements {unknown} of the frames {frames.pk} are not among {potential.elements} of the potential')


def _end_lines(node: orm.WorkChainNode) -> list[str]:
    names = [name for name in ('candidates', 'candidate_grades', 'uncut', 'report') if name in node.outputs]
    lines = exploration_lines(node.outputs.report.get_dict()) if 'report' in names else []
    return [*lines, *(f'  {name}: PK {node.outputs[name].pk}' for name in names)]


def _percent(share: float | None) -> str:
    return 'unknown' if share is None else f'{share:.0%}'
