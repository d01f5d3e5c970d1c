from aiida_mlip_autopipe.cli.report import Report
from aiida_mlip_autopipe.cli.report_page import page
from aiida_mlip_autopipe.cli.report_properties import HEAD, row_cells, summary
from tests.cli.gate_report import REPORT, ROW
from tests.cli.test_report_page import rows_of, text_of


def gate_page(report):
    return page(Report('Gate', {}, (), is_run=False, properties=report))


def test_the_table():
    table = rows_of(gate_page(REPORT), ['crystal'])
    assert table[0] == list(HEAD)
    assert table[1] == ['Al', 'eos', 'V0', 'Å³/atom', '15.55', '15.6', '-0.05', '0.156', 'passed', '']
    assert table[2][4:9] == ['33.96', '43.91', '-9.952', '6.587', 'failed']
    assert table[3][4:] == ['15.55', '-', '-', '-', 'failed', 'reference: &lt;none&gt;']
    assert table[4][4:9] == ['15.55', '-', '-', '-', '']


def test_verdict_cost_and_failures_are_told():
    text = text_of(gate_page(REPORT))
    assert 'The potential did not pass: 1 of 3 quantities within their limits; 15 labels of the reference, 6 of them new.' in text
    assert 'MD at constant pressure failed: an atom was lost' in text


def test_one_that_passed():
    assert summary({**REPORT, 'passed': True, 'rows': [ROW]}).startswith('The potential passed: 1 of 1 quantities')


def test_without_curves_there_is_no_figure():
    assert 'id="eos"' in gate_page(REPORT)
    assert 'id="eos"' not in gate_page({**REPORT, 'curves': {}})


def test_cells_have_four_digits():
    assert row_cells({**ROW, 'potential': 1.40285e-05})[4] == '1.403e-05'
