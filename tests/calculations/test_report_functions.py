from aiida import orm

from aiida_mlip_autopipe.calculations.report_functions import summarize_round, summarize_run

COUNTS = {'round': 1, 'labels_bought': 5, 'labels_total': 20, 'n_train': 14, 'n_test': 3}
ERRORS = {'energy_rmse': 0.01, 'force_rmse': 0.1}


def test_a_round_with_every_stage():
    reports = {
        'explore': {'n_candidates': 8, 'gamma_max': 6.0},
        'select': {
            'counts': {'generated': 8, 'selected': 5},
            'by_config_type': {'md': {'selected': 5}},
            'reasons_by_config_type': {'md': {'duplicate': 3}},
        },
        'label': {
            'n_failed': 3,
            'failures': [
                {'index': 4, 'uid': 'a', 'reason': 'force_cap', 'detail': '99 eV/Å'},
                *({'index': index, 'uid': 'b', 'reason': f'words of another labeller {index}'} for index in (5, 6)),
            ],
            'levels_of_theory': {'abc': {}},
        },
        'train': {
            'train_errors': ERRORS,
            'test_errors': ERRORS,
            'failed_checks': ['a wall falls'],
            'test_groups': {'part': {}},
            'test_caution': 'a guess',
            'gamma_max': 2.0,
            'fit': {'stress_offset': 0.002, 'noise': {'stress': 0.001}},
        },
        'test_md': {'temperatures': []},
        'acquisition': {
            'errors': ERRORS,
            'gamma_max': 9.0,
            'ledger': [{'config_type': 'md', 'temperature': 300.0, 'bought': 5, 'known': 1}],
        },
    }
    nodes = {name: orm.Dict(report) for name, report in reports.items()}
    entry = summarize_round(orm.Dict(COUNTS), **nodes).get_dict()
    assert entry == {
        **COUNTS,
        'explore': reports['explore'],
        'funnel': {'generated': 8, 'selected': 5},
        'funnel_by_config_type': {'md': {'selected': 5}},
        'funnel_reasons': {'md': {'duplicate': 3}},
        'labels_failed': 3,
        'failures_by_reason': {'force_cap': 1, 'other': 2},
        'levels_of_theory': {'abc': {}},
        'acquisition': ERRORS,
        'ledger': [{'config_type': 'md', 'temperature': 300.0, 'bought': 5, 'known': 1}],
        'train_errors': ERRORS,
        'test_errors': ERRORS,
        'failed_checks': ['a wall falls'],
        'test_groups': {'part': {}},
        'test_caution': 'a guess',
        'test_md': {'temperatures': []},
        'stress_offset': 0.002,
        'stress_noise': 0.001,
        'gamma_max': 6.0,
    }


def test_a_round_with_nothing_but_counts():
    entry = summarize_round(orm.Dict(COUNTS)).get_dict()
    stages = ('explore', 'funnel', 'funnel_by_config_type', 'funnel_reasons', 'acquisition')
    for name in (*stages, 'train_errors', 'test_errors', 'test_groups', 'test_md', 'stress_offset', 'stress_noise', 'gamma_max'):
        assert entry[name] is None
    assert entry['test_caution'] == ''
    assert (entry['labels_failed'], entry['failures_by_reason']) == (0, {})


def test_a_potential_without_grade_has_none():
    entry = summarize_round(orm.Dict(COUNTS), train=orm.Dict({'gamma_max': None}), explore=orm.Dict({'gamma_max': None}))
    assert entry['gamma_max'] is None


def test_a_run_lists_its_rounds_in_order():
    rounds = {f'round_{index:03d}': orm.Dict({'round': index}) for index in (2, 0, 1)}
    report = summarize_run(orm.Dict({'stop_reason': 'converged', 'labels_total': 7}), **rounds).get_dict()
    assert report == {'stop_reason': 'converged', 'labels_total': 7, 'rounds': [{'round': index} for index in range(3)]}


def test_a_run_without_rounds():
    assert summarize_run(orm.Dict({'stop_reason': 'failed'})).get_dict() == {'stop_reason': 'failed', 'rounds': []}
