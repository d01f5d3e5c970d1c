"""Calcfunctions that put the reports of stages together: one entry for each round, one report for a run."""

from __future__ import annotations

from collections import Counter

from aiida import orm
from aiida.engine import calcfunction

from aiida_mlip_autopipe.common.reasons import FrameFailure
from aiida_mlip_autopipe.common.reports import RoundCounts, RoundEntry

REPORTS = ('explore', 'select', 'label', 'train', 'acquisition', 'test_md')


@calcfunction
def summarize_round(counts: orm.Dict, **reports: orm.Dict) -> orm.Dict:
    """Return the entry of one round.

    :param counts: `round`, `labels_bought`, `labels_total`, `n_train`, `n_test`.
    :param reports: reports of the stages `explore`, `select`, `label`, `train`, `acquisition` (errors of the old potential on
        the new labels) and `test_md` (frames of MD for the test set), where the round had them.
    """
    stages = {name: reports[name].get_dict() if name in reports else None for name in REPORTS}
    label, train, acquisition = stages['label'] or {}, stages['train'] or {}, stages['acquisition'] or {}
    select, fit = stages['select'] or {}, train.get('fit') or {}
    grades = [(stages[name] or {}).get('gamma_max') for name in ('explore', 'train')]
    failures = [FrameFailure.from_mapping(failure) for failure in label.get('failures', [])]
    counted: RoundCounts = counts.get_dict()
    entry: RoundEntry = {
        **counted,
        'explore': stages['explore'],
        'funnel': select.get('counts'),
        'funnel_by_config_type': select.get('by_config_type'),
        'funnel_reasons': select.get('reasons_by_config_type'),
        'labels_failed': label.get('n_failed', 0),
        'failures_by_reason': dict(Counter(failure.reason.value for failure in failures)),
        'levels_of_theory': label.get('levels_of_theory', {}),
        'acquisition': acquisition.get('errors'),
        'ledger': acquisition.get('ledger'),
        'train_errors': train.get('train_errors'),
        'test_errors': train.get('test_errors'),
        'failed_checks': train.get('failed_checks', []),
        'test_groups': train.get('test_groups'),
        'test_caution': train.get('test_caution', ''),
        'test_md': stages['test_md'],
        'stress_offset': fit.get('stress_offset'),
        'stress_noise': (fit.get('noise') or {}).get('stress'),
        'gamma_max': max((grade for grade in grades if grade is not None), default=None),
    }
    return orm.Dict(entry)


@calcfunction
def summarize_run(outcome: orm.Dict, **rounds: orm.Dict) -> orm.Dict:
    """Return the report of a run.

    :param outcome: `stop_reason` and what else is said of the whole run.
    :param rounds: entries of the rounds; their names sort in the order of the rounds.
    """
    return orm.Dict({**outcome.get_dict(), 'rounds': [rounds[name].get_dict() for name in sorted(rounds)]})
