import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_mlip_autopipe.cli import nodes
from aiida_mlip_autopipe.cli import properties as module
from aiida_mlip_autopipe.cli.properties import properties_lines
from aiida_mlip_autopipe.cli.report import told
from aiida_mlip_autopipe.cli.report_page import page
from aiida_mlip_autopipe.data.potential import PotentialData
from tests.cli.gate_report import REPORT
from tests.cli.test_report_page import text_of
from tests.cli.test_root import assert_one_error

SECTION = {'crystals': ['Cu'], 'lammps_code': None}


@pytest.fixture
def submitted(monkeypatch, fake_process):
    """Record what would be submitted; the process that comes back has ended as `answer` says."""

    class Record(list):
        answer = {'outputs': {'report': orm.Dict(REPORT)}}

    record = Record()

    def submit(process, **inputs):
        ports = process.spec().inputs
        problem = ports.validate(ports.pre_process(dict(inputs)))
        assert problem is None, problem
        record.append(inputs)
        return fake_process(orm.WorkChainNode, label=process.__name__, **record.answer)

    monkeypatch.setattr(nodes, 'submit', submit)
    monkeypatch.setattr(module, 'require_daemon', lambda: None)
    return record


def test_the_table_is_printed(run_cli, submitted, fake_potential, config_file, worker_code):
    result = run_cli('properties', fake_potential.pk, config_file(properties=SECTION), '--wait')
    assert result.exit_code == 0, result.output
    assert 'submitted PropertiesWorkChain with PK' in result.output
    assert 'Al       eos        V0        Å³/atom      15.55       15.6   -0.05    0.156  passed' in result.output
    assert result.output.endswith('15 labels of the reference, 6 of them new.\n')
    (inputs,) = submitted
    assert inputs['potential'].pk == fake_potential.pk
    assert inputs['config']['properties']['crystals'] == ['Cu']
    assert 'lammps_code' not in inputs


def test_without_waiting_nothing_is_printed_but_the_pk(run_cli, submitted, fake_potential, config_file, worker_code):
    result = run_cli('properties', fake_potential.uuid, config_file(properties=SECTION))
    assert result.output.count('\n') == 1
    assert len(submitted) == 1


def test_a_process_that_failed(run_cli, submitted, fake_potential, config_file, worker_code):
    submitted.answer = {'status': 420, 'message': 'The reference could not be calculated: no labels'}
    result = run_cli('properties', fake_potential.pk, config_file(properties=SECTION), '--wait')
    assert result.exit_code == 1
    assert 'did not end well: The reference could not be calculated: no labels' in result.output


def test_a_file_without_the_section(run_cli, submitted, fake_potential, config_file):
    assert_one_error(run_cli('properties', fake_potential.pk, config_file()), 'properties: missing')
    assert not submitted


def test_a_crystal_that_is_not_among_the_bases(run_cli, submitted, fake_potential, config_file):
    result = run_cli('properties', fake_potential.pk, config_file(properties={'crystals': ['Ag']}))
    assert_one_error(result, "properties.crystals: got 'Ag'; it must be a crystal among the bases: Cu, Au")


def test_no_potential(run_cli, submitted, config_file, emt_frames, worker_code):
    result = run_cli('properties', 'nothing', config_file(properties=SECTION))
    assert_one_error(result, "POTENTIAL_PK: got 'nothing'")


def test_no_code_of_lmp(run_cli, submitted, fake_potential, config_file, worker_code):
    section = {**SECTION, 'lammps_code': 'lmp@mars'}
    result = run_cli('properties', fake_potential.pk, config_file(properties=section))
    assert_one_error(result, "properties.lammps_code: got 'lmp@mars'; no such code")


def test_a_potential_of_other_elements(run_cli, submitted, potential_folder, config_file, worker_code):
    node = PotentialData.from_folder(potential_folder(elements=('Cu',))).store()
    result = run_cli('properties', node.pk, config_file(properties=SECTION))
    assert_one_error(result, "potential: knows ['Cu'], but system.elements lists ['Au'], too")


def test_lines_stand_below_each_other():
    lines = properties_lines(REPORT)
    assert lines[0].startswith('crystal  property')
    assert len({line.index(name) for line, name in zip(lines[1:3], ('V0', 'C44'), strict=True)}) == 1
    assert lines[-2] == 'MD at constant pressure failed: an atom was lost'


def test_the_page_of_a_gate(run_cli, fake_process, tmp_path):
    node = fake_process(orm.WorkChainNode, label='PropertiesWorkChain', outputs={'report': orm.Dict(REPORT)})
    path = tmp_path / 'gate.html'
    assert run_cli('report', node.pk, '--output', path).exit_code == 0
    assert 'The potential did not pass: 1 of 3' in text_of(path.read_text(encoding='utf-8'))


def test_the_page_of_a_run_has_its_newest_gate(finished_run):
    run = finished_run()
    assert told(run).properties is None
    for number, passed in enumerate((False, True)):
        gate = orm.WorkChainNode()
        gate.set_process_label('PropertiesWorkChain')
        gate.base.links.add_incoming(run, LinkType.CALL_WORK, f'properties_{number:02d}')
        gate.store()
        report = orm.Dict({**REPORT, 'passed': passed}).store()
        report.base.links.add_incoming(gate, LinkType.RETURN, 'report')
    found = told(run).properties
    assert found['passed'] is True
    assert 'The potential passed' in text_of(page(told(run)))
