import re

import pytest

from aiida_mlip_autopipe.cli.report import Report, told
from aiida_mlip_autopipe.cli.report_page import page
from aiida_mlip_autopipe.cli.rounds import Round
from tests.cli.conftest import MD, SELECTION
from tests.cli.test_frozen_errors import GROUPS, LACKING
from tests.cli.test_summary import ROUND


def text_of(html):
    """Return what a reader sees, without styles and scripts, one blank between words."""
    body = re.sub(r'<(script|style)\b.*?</\1>', ' ', html, flags=re.S)
    return ' '.join(re.sub(r'<[^>]*>', ' ', body).split())


def tables_of(html):
    """Return the cells of each table."""
    tables = re.findall(r'<table>(.*?)</table>', html, flags=re.S)
    return [
        [re.findall(r'<t[hd][^>]*>(.*?)</t[hd]>', line, flags=re.S) for line in re.findall(r'<tr>(.*?)</tr>', table, flags=re.S)]
        for table in tables
    ]


def rows_of(html, head):
    """Return the cells of the table whose first line begins with the head."""
    return next(table for table in tables_of(html) if table[0][: len(head)] == head)


@pytest.fixture
def html(run_of_rounds):
    return page(told(run_of_rounds()))


def test_nothing_is_loaded_from_elsewhere(html):
    assert not re.findall(
        r'<(?:script|img|iframe)[^>]*\ssrc=|<link\b|@import|url\(', re.sub(r'<script>.*?</script>', '', html, flags=re.S)
    )
    assert html.count('Plotly.newPlot(') >= 3


def test_the_reasons_of_each_config_type(html):
    table = rows_of(html, ['config_type'])
    assert table[0] == [
        *('config_type', 'generated', 'flat\ncell', 'short\nbond', 'sane', 'duplicate', 'already\nlabelled', 'unique'),
        *('force\ncap', 'energy\nwindow', 'volume\nwindow', 'inside', 'not\nselected', 'selected'),
    ]
    assert table[1] == ['rattle', '240', '0', '18', '222', '30', '2', '190', '12', '8', '0', '170', '156', '14']
    assert table[-1] == ['all', '522', '1', '18', '503', '58', '2', '443', '12', '40', '1', '390', '351', '39']
    assert len(table) == 7


def test_the_whole_run_is_told(html):
    text = text_of(html)
    for part in ('stopped because converged', 'labels bought 53', 'state finished', 'Round 0', 'Round 1', 'Al-Mg &lt;demo&gt;'):
        assert part in text
    assert 'not closed' not in text
    assert '12 bought, 2 failed; 53 bought since the run began.' in text
    assert '2 scf_not_converged: Self-consistency was not reached.' in text


def test_errors_have_their_units(html):
    table = rows_of(html, ['set'])
    assert table == [
        ['set', 'energy\nmeV/atom', 'force\nmeV/Å', 'stress\nGPa'],
        ['training, 30 frames', '12.30', '56.7', '0.250'],
        ['test, 9 frames, frozen', '12.30', '90.0', '0.250'],
    ]
    assert 'old potential on the new labels 12.30 200.0 0.250' in text_of(html)


def test_the_rounds_are_compared(html):
    table = rows_of(html, ['round'])
    assert table[1] == ['0', '522', '39', '41', '0', '30', '12.30', '90.0', '0.250']
    assert table[2] == ['1', '31', '12', '12', '2', '42', '12.30', '60.0', '0.250']
    assert 'id="errors"' in html


def test_surrogate_and_notes_are_told(html):
    text = text_of(html)
    assert f'by the MACE model surrogate.model on cpu in float32 (sha256 {"ab" * 32})' in text
    assert 'quota of config_type vacancy: 1 of 2 were selected' in text
    assert 'features by mlip_autopipe.pod no model was given' in text


def test_a_run_that_goes_on_shows_what_there_is(run_of_rounds):
    html = page(told(run_of_rounds(open_round=True)))
    text = text_of(html)
    assert 'Round 2, not closed' in text
    assert 'state waiting' in text
    assert html.count('id="funnel-') == 3
    assert 'stopped because' not in text


def test_before_the_first_round():
    assert 'No round has begun.' in text_of(page(Report('new', {}, ())))


def test_a_round_without_a_selection():
    html = page(Report('new', {}, (Round(0, (), None, None),)))
    assert 'No selection has ended.' in text_of(html)
    assert 'id="funnel-0"' not in html


def test_one_selection_has_no_round():
    text = text_of(page(Report('one', {}, (Round(0, (), MD, None),), is_run=False)))
    assert 'Round' not in text
    assert 'Why frames were left out' in text


def test_a_name_is_no_markup():
    odd = {**MD, 'by_config_type': {'<i>': MD['by_config_type']['md']}, 'reasons_by_config_type': {'<i>': {}}}
    html = page(Report('<script>alert(1)</script>', {'a': '<b>'}, (Round(0, (), odd, None),)))
    assert '<script>alert' not in html
    assert '&lt;i&gt;' in html
    assert '<i>' not in re.sub(r'<script.*?</script>', '', html, flags=re.S)


def test_a_stage_that_ends_early_and_no_errors():
    entry = {
        **dict.fromkeys(
            ('explore', 'acquisition', 'train_errors', 'test_errors', 'funnel', 'funnel_by_config_type', 'gamma_max')
        ),
        **{
            'round': 0,
            'labels_bought': 0,
            'labels_failed': 0,
            'labels_total': 41,
            'failures_by_reason': {},
            'n_train': 1,
            'n_test': 1,
        },
    }
    text = text_of(page(Report('idle', {}, (Round(0, (), None, entry),))))
    assert '0 bought, 0 failed; 41 bought since the run began.' in text
    assert 'Errors' not in text


def test_the_funnel_of_an_entry_stands_in_for_a_missing_report():
    entry = {
        **dict.fromkeys(('explore', 'acquisition', 'train_errors', 'test_errors', 'gamma_max')),
        **{
            'round': 0,
            'labels_bought': 0,
            'labels_failed': 0,
            'labels_total': 41,
            'failures_by_reason': {},
            'n_train': 1,
            'n_test': 1,
        },
        'funnel': SELECTION['counts'],
        'funnel_by_config_type': SELECTION['by_config_type'],
        'funnel_reasons': SELECTION['reasons_by_config_type'],
    }
    assert rows_of(page(Report('old', {}, (Round(0, (), None, entry),))), ['config_type'])[-1][1] == '522'


def test_the_frozen_set_is_told_by_group():
    errors = {**ROUND['test_errors'], 'energy_interval': [0.01, 0.02], 'force_interval': [0.05, 0.06], 'n_lineages': 9}
    entry = {
        **ROUND,
        'labels_total': 9,
        'test_errors': errors,
        'test_groups': GROUPS,
        'test_caution': 'a guess',
        'test_md': LACKING,
    }
    html = page(Report('Run', {}, (Round(0, (), None, entry),)))
    table = next(table for table in tables_of(html) if table[0][1:3] == ['frames', 'lineages'])
    assert [row[0] for row in table[1:]] == ['part made', 'part md', 'config type rattle', 'config type md', 'all']
    assert table[2] == ['part md', '4', '3', '10.00', '8.00 to 12.00', '100.0', '90.0 to 110.0']
    assert table[-1] == ['all', '6', '9', '12.30', '10.00 to 20.00', '56.7', '50.0 to 60.0']
    assert 'a guess the test set has no frames of MD at 900 K: 2 bond' in text_of(html)


def test_the_bold_columns_are_the_stages(html):
    assert '<tr><td class="text">rattle</td><td class="bold">240</td><td>0</td>' in html
    assert '<th class="text">config_type</th><th>generated</th>' in html
