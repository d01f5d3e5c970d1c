"""What a run has to say for itself, as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from aiida import orm

from aiida_mlip_autopipe.cli.frozen_errors import group_lines, interval_text
from aiida_mlip_autopipe.common.reasons import sentence_of
from aiida_mlip_autopipe.common.reports import ExploreReport, RoundEntry, SetErrors
from aiida_mlip_autopipe.common.units import GPA, MILLI
from aiida_mlip_autopipe.science.selection.funnel import FUNNEL

ROUND_ENTRY = 'summarize_round'


def round_entries(node: orm.WorkChainNode) -> list[RoundEntry]:
    """Return the entries of the rounds that a run has closed so far, by their links, also while it runs."""
    links = node.base.links.get_outgoing(node_class=orm.CalcFunctionNode)
    calls = [link.node for link in links.all() if link.node.process_label == ROUND_ENTRY and link.node.is_finished_ok]
    entries: list[RoundEntry] = [call.outputs.result.get_dict() for call in calls]
    return sorted(entries, key=lambda entry: entry['round'])


def round_lines(entry: RoundEntry) -> list[str]:
    """Return the lines that tell one round."""
    lines = [f'round {entry["round"]}']
    explore = entry['explore']
    if explore:
        temperatures = ', '.join(f'{temperature:g}' for temperature in explore['temperatures'])
        lines.append(
            f'  explore   {explore["n_trajectories"]} trajectories at {temperatures} K, {explore["n_stopped"]} stopped, '
            f'{explore["n_candidates"]} candidates, highest grade {_number(explore["gamma_max"], ".3g")}'
        )
        lines += [f'            {line}' for line in ladder_lines(explore)]
    if entry['funnel']:
        lines += funnel_lines(entry['funnel'], entry.get('funnel_by_config_type') or {}, entry.get('funnel_reasons') or {})
    lines.append(f'  label     {entry["labels_bought"]} bought, {entry["labels_failed"]} failed')
    lines += [f'            {text}' for text in failure_lines(entry['failures_by_reason'])]
    if entry['acquisition']:
        lines.append(f'  old potential on the new labels   {_errors(entry["acquisition"])}')
    lines += ledger_lines(entry)
    if entry['test_errors']:
        lines.append(f'  train     {entry["n_train"]} frames          {_errors(entry["train_errors"])}')
        lines.append(f'  test      {entry["n_test"]} frames, frozen  {_errors(entry["test_errors"])}')
        lines += _intervals(entry['test_errors'])
    lines += group_lines(entry)
    return lines


def failure_lines(by_reason: Mapping[str, int]) -> list[str]:
    """Return how many frames could not be labelled for each reason, and what the reason means."""
    return [f'{count} {reason}: {sentence_of(reason)}'.removesuffix(': ') for reason, count in by_reason.items()]


def funnel_lines(
    counts: Mapping[str, int], by_type: Mapping[str, Mapping[str, int]], reasons: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Return the lines that tell a funnel: all together, then each config_type.

    :param counts: frames that reached each stage; runs of older versions have fewer stages.
    :param by_type: the same for each config_type.
    :param reasons: for each config_type, how often each reason was given.
    """
    stages = [stage for stage in FUNNEL if stage in counts]
    removed: Counter[str] = Counter()
    for count in reasons.values():
        removed.update(count)
    lines = ['  select    ' + ' -> '.join(f'{counts[stage]} {stage}' for stage in stages), *_removed(removed, ' ' * 12)]
    width = max((len(name) for name in by_type), default=0)
    for name, count in by_type.items():
        numbers = ' -> '.join(str(count[stage]) for stage in stages if stage in count)
        given = ''.join(_removed(reasons.get(name, {}), '   '))
        lines.append(f'            {name:<{width}}  {numbers}{given}')
    return lines


def _removed(reasons: Mapping[str, int], indent: str) -> list[str]:
    return [indent + 'not: ' + ', '.join(f'{count} {reason}' for reason, count in reasons.items())] if reasons else []


def state_lines(node: orm.WorkChainNode) -> list[str]:
    """Return the lines that tell the state of a run, what it cost and where its results are."""
    state = node.process_state.value if node.process_state else 'unknown'
    lines = [f'run {node.pk} ({node.process_label}): {state}']
    lines += [f'  now: {_progress(child)}' for child in node.called if not child.is_terminated]
    if (node.is_finished and not node.is_finished_ok) or node.is_excepted:
        lines.append(f'  failed: {node.exit_message or node.exception}')
    if 'report' in node.outputs:
        report = node.outputs.report
        lines.append(f'  stopped because: {report["stop_reason"]}')
        lines += verdict_lines(report.get_dict())
        lines.append(f'  labels bought: {report["labels_total"]}')
    for name in ('potential', 'frames', 'train_frames', 'test_frames', 'references', 'quarantined'):
        if name in node.outputs:
            lines.append(f'  {name}: PK {node.outputs[name].pk}')
    return lines


def verdict_lines(report: Mapping[str, Any]) -> list[str]:
    """Return the lines that tell why a run ended and which potential is its result; a one-shot run has no verdict."""
    verdict = report.get('verdict')
    if not verdict:
        return []
    return [f'    {verdict["sentence"]}', f'    The result is the potential of round {verdict["round"]}.']


def ladder_lines(explore: ExploreReport) -> list[str]:
    """Return the lines that tell how far the starts of an exploration came, and why trajectories ended early."""
    ladder = explore.get('ladder')
    if not ladder:
        return []
    reached = Counter(rung['reached'] for rung in ladder)
    steps = ', '.join(
        f'{count} {"none of them" if temperature is None else f"up to {temperature:g} K"}'
        for temperature, count in sorted(reached.items(), key=lambda item: item[0] or 0.0, reverse=True)
    )
    early = ', '.join(f'{count} {reason}' for reason, count in explore['reasons'].items() if reason != 'finished')
    return [f'of {len(ladder)} starts passed: {steps}{f"; ended early: {early}" if early else ""}']


def ledger_lines(entry: RoundEntry) -> list[str]:
    """Return the lines that tell which new labels the old potential had predicted within its standard deviation."""
    rows = entry.get('ledger') or []
    if not rows:
        return []
    told = ', '.join(
        f'{row["known"]} of {row["bought"]} {row["config_type"]}'
        + ('' if row['temperature'] is None else f' at {row["temperature"]:g} K')
        for row in rows
    )
    return [f'            taught nothing (predicted within its standard deviation): {told}']


def _progress(child: orm.ProcessNode) -> str:
    """Return one sentence on a process that has not ended."""
    parts = list(getattr(child, 'called', []))
    if not parts:
        return f'{child.process_label} {child.pk}, {child.process_state.value}'
    n_ended = sum(part.is_terminated for part in parts)
    return f'{child.process_label} {child.pk}, {n_ended} of its processes ended, {len(parts) - n_ended} under way'


def _intervals(errors: SetErrors) -> list[str]:
    if not errors.get('force_interval'):
        return []
    energy, force = interval_text(errors['energy_interval'], '.2f'), interval_text(errors['force_interval'], '.1f')
    return [f'            90 % interval: energy {energy} meV/atom, force {force} meV/Å (of {errors["n_lineages"]} lineages)']


def _errors(errors: SetErrors | None) -> str:
    if errors is None:  # of the training frames, where their evaluation failed
        return 'RMSE unknown'
    text = f'RMSE energy {MILLI * errors["energy_rmse"]:.2f} meV/atom, force {MILLI * errors["force_rmse"]:.1f} meV/Å'
    stress = errors.get('stress_rmse')
    return text if stress is None else f'{text}, stress {stress / GPA:.3f} GPa'


def _number(value: float | None, form: str) -> str:
    return 'unknown' if value is None else format(value, form)
