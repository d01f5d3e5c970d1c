from plotly import graph_objects as go

from aiida_mlip_autopipe.cli.report_parts import figure_part, table_part


def test_a_table():
    html = table_part(('name', 'n'), [['a<b', 1], ['c', 2.5]], text=(0,), bold=(1,))
    assert html == (
        '<div class="wide"><table><tr><th class="text">name</th><th>n</th></tr>'
        '<tr><td class="text">a&lt;b</td><td class="bold">1</td></tr>'
        '<tr><td class="text">c</td><td class="bold">2.5</td></tr></table></div>'
    )


def test_a_figure_brings_no_script_of_its_own():
    html = figure_part(go.Figure(), 'one')
    assert 'id="one"' in html
    assert 'Plotly.newPlot' in html
    assert len(html) < 20_000
