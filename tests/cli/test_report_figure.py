import copy
import itertools
import re

import pytest

from aiida_mlip_autopipe.cli.report_figure import PALETTE, eos_figure, error_figure, escaped, funnel_figure, removed_at
from aiida_mlip_autopipe.science.selection.funnel import FUNNEL, REASONS
from tests.cli.conftest import SELECTION
from tests.cli.gate_report import REPORT

BY_TYPE, REASONS_OF = SELECTION['by_config_type'], SELECTION['reasons_by_config_type']


def texts(figure):
    """Return label and count of each text on the figure."""
    return dict(re.sub('</?b>', '', note.text).split('<br>') for note in figure.layout.annotations)


def flows(figure):
    """Return the frames that enter and leave each node."""
    link, count = figure.data[0].link, len(figure.data[0].node.x)
    entering, leaving = [0] * count, [0] * count
    for source, target, value in zip(link.source, link.target, link.value, strict=True):
        leaving[source] += value
        entering[target] += value
    return entering, leaving


def test_every_number_of_the_report_stands_on_the_figure():
    shown = texts(funnel_figure(BY_TYPE, REASONS_OF))
    expected = {**SELECTION['counts'], **SELECTION['reasons'], **{name: count['generated'] for name, count in BY_TYPE.items()}}
    assert shown == {name.replace('_', ' '): str(count) for name, count in expected.items()}


def test_nothing_gets_lost_on_the_way():
    figure = funnel_figure(BY_TYPE, REASONS_OF)
    entering, leaving = flows(figure)
    places = figure.data[0].node.x
    for number, place in enumerate(places):
        if 0.1 < place < 0.9 and leaving[number]:
            assert entering[number] == leaving[number]
    assert sum(leaving[number] for number, place in enumerate(places) if place < 0.1) == 522
    assert sum(e for e, out in zip(entering, leaving, strict=True) if not out) == 522


def test_no_node_is_without_a_link():
    early = {'rattle': {'generated': 5, 'sane': 4, 'unique': 4, 'inside': 0, 'selected': 0}}
    for by_type, reasons in ((BY_TYPE, REASONS_OF), (early, {'rattle': {'short_bond': 1, 'force_cap': 4}})):
        sankey = funnel_figure(by_type, reasons).data[0]
        assert {*sankey.link.source, *sankey.link.target} == set(range(len(sankey.node.x)))


def test_each_config_type_keeps_its_colour():
    figure = funnel_figure(BY_TYPE, REASONS_OF)
    link = figure.data[0].link
    by_colour = {}
    for source, target, value, colour in zip(link.source, link.target, link.value, link.color, strict=True):
        if figure.data[0].node.x[source] < 0.1:
            by_colour[colour] = by_colour.get(colour, 0) + value
        assert target > source
    assert list(by_colour.values()) == [count['generated'] for count in BY_TYPE.values()]
    assert list(figure.data[0].node.color[:5]) == list(PALETTE[:5])


@pytest.mark.parametrize('n_types', [1, 30])
def test_labels_of_a_column_keep_two_lines_apart(n_types):
    count = {'generated': 100, 'sane': 99, 'unique': 98, 'inside': 97, 'selected': 1}
    by_type = {f'kind_{index}': count for index in range(n_types)}
    reasons = {name: {'short_bond': 1, 'duplicate': 1, 'force_cap': 1, 'not_selected': 96} for name in by_type}
    figure = funnel_figure(by_type, reasons)
    height = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    middles = {}
    for note in figure.layout.annotations:
        if note.yanchor == 'middle':
            assert 0 <= note.y <= 1
            middles.setdefault(note.x, []).append(note.y * height)
    for column in middles.values():
        gaps = [high - low for high, low in itertools.pairwise(column)]
        assert all(gap >= 30 for gap in gaps)


def test_a_funnel_of_an_older_version_has_fewer_stages_and_no_reasons():
    figure = funnel_figure({'md': {'generated': 9, 'sane': 8, 'unique': 7, 'selected': 5}}, {})
    assert [note.text for note in figure.layout.annotations if '<b>' in note.text] == [
        '<b>generated</b><br>9',
        '<b>sane</b><br>8',
        '<b>unique</b><br>7',
        '<b>selected</b><br>5',
    ]
    assert [note.text for note in figure.layout.annotations if 'other' in note.text] == ['other<br>1', 'other<br>1', 'other<br>2']


def test_nothing_left_and_nothing_at_all():
    gone = {'rattle': {'generated': 3, 'sane': 0, 'unique': 0, 'inside': 0, 'selected': 0}}
    shown = texts(funnel_figure(gone, {'rattle': {'short_bond': 3}}))
    assert shown == {'rattle': '3', 'short bond': '3', 'generated': '3', **dict.fromkeys(FUNNEL[1:], '0')}
    sankey = funnel_figure(gone, {'rattle': {'short_bond': 3}}).data[0]
    assert (sankey.link.source, sankey.link.target, sankey.link.value) == ((0,), (1,), (3,))
    assert [round(x, 3) for x in sankey.node.x] == [0.0, 0.25], 'the removed frames stand in the column of the stage'
    assert not funnel_figure({}, {}).data[0].link.value


def test_every_reason_has_its_stage():
    count = dict(zip(FUNNEL, (100, 80, 60, 40, 20), strict=True))
    for stage, reasons in REASONS.items():
        given = dict.fromkeys(reasons, 1)
        assert removed_at(stage, count, given) == {**given, 'other': 20 - len(reasons)}
    assert removed_at('sane', count, {'short_bond': 20}) == {'short_bond': 20}


def test_a_name_is_no_markup():
    assert escaped('<b>a_b</b> & c') == '&lt;b&gt;a b&lt;/b&gt; &amp; c'


def test_errors_against_labels():
    figure = error_figure(
        [
            {'labels_total': 41, 'test_errors': {'force_rmse': 0.09}, 'acquisition': None},
            {'labels_total': 53, 'test_errors': {'force_rmse': 0.06}, 'acquisition': {'force_rmse': 0.2}},
        ]
    )
    test, new = figure.data
    assert (list(test.x), list(test.y)) == ([41, 53], [90.0, 60.0])
    assert (list(new.x), list(new.y)) == ([53], [200.0])


def test_curves_begin_at_their_lowest_points():
    figure = eos_figure(REPORT['curves'])
    assert [trace.name for trace in figure.data] == ['potential', 'reference']
    assert [list(trace.y) for trace in figure.data] == [[199.99999999999974, 0.0], [299.99999999999716, 0.0]]
    assert list(figure.data[0].x) == [15.0, 16.0]


def test_a_crystal_beside_another():
    curves = {**copy.deepcopy(REPORT['curves']), 'Mg': REPORT['curves']['Al']}
    figure = eos_figure(curves)
    assert [trace.showlegend for trace in figure.data] == [True, True, False, False]
    assert [note.text for note in figure.layout.annotations] == ['Al', 'Mg']
