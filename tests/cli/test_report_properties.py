import copy

from aiida_mlip_autopipe.cli.report_properties import HEAD, eos_figure, properties_section, row_cells, summary
from tests.cli.gate_report import REPORT, ROW
from tests.cli.test_report_page import rows_of, text_of


def test_the_table():
    table = rows_of(properties_section(REPORT), ['crystal'])
    assert table[0] == list(HEAD)
    assert table[1] == ['Al', 'eos', 'V0', 'Å³/atom', '15.55', '15.6', '-0.05', '0.156', 'passed', '']
    assert table[2][4:9] == ['33.96', '43.91', '-9.952', '6.587', 'failed']
    assert table[3][4:] == ['15.55', '-', '-', '-', 'failed', 'reference: &lt;none&gt;']
    assert table[4][4:9] == ['15.55', '-', '-', '-', '']


def test_verdict_cost_and_failures_are_told():
    text = text_of(properties_section(REPORT))
    assert 'The potential did not pass: 1 of 3 quantities within their limits; 15 labels of the reference, 6 of them new.' in text
    assert 'MD at constant pressure failed: an atom was lost' in text


def test_one_that_passed():
    assert summary({**REPORT, 'passed': True, 'rows': [ROW]}).startswith('The potential passed: 1 of 1 quantities')


def test_without_curves_there_is_no_figure():
    assert 'Plotly.newPlot' in properties_section(REPORT)
    assert 'Plotly.newPlot' not in properties_section({**REPORT, 'curves': {}})


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


def test_cells_have_four_digits():
    assert row_cells({**ROW, 'potential': 1.40285e-05})[4] == '1.403e-05'
