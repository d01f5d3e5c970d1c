import pytest
from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipe.cli.rounds import Stage, report_of, rounds_of, state_of
from tests.cli.conftest import MD, SELECTION


def test_closed_rounds_have_stages_selection_and_entry(run_of_rounds):
    first, second = rounds_of(run_of_rounds())
    assert (first.number, second.number) == (0, 1)
    assert [stage.name for stage in first.stages] == ['select', 'label']
    assert first.selection == SELECTION
    assert second.selection == MD
    assert first.entry['labels_bought'] == 41


def test_an_open_round_has_what_there_is(run_of_rounds):
    *_, third = rounds_of(run_of_rounds(open_round=True))
    assert third.number == 2
    assert third.entry is None
    assert third.selection == MD
    assert [stage.name for stage in third.stages] == ['explore', 'select', 'label']
    assert [stage.state for stage in third.stages] == ['finished', 'finished', 'waiting']


def test_stages_stand_in_the_order_of_the_loop(fake_process, call):
    run = fake_process(orm.WorkChainNode, state=ProcessState.WAITING)
    label, generate = call(run, 'label_00', 'PwBatchCalculation'), call(run, 'generate_00', 'GenerateCalculation')
    call(run, 'merge_frames', 'merge_frames')
    (only,) = rounds_of(run)
    assert only.stages == (Stage('generate', generate.pk, 'finished'), Stage('label', label.pk, 'finished'))
    assert only.selection is None


def test_a_run_that_has_called_nothing(fake_process):
    assert rounds_of(fake_process(orm.WorkChainNode, state=ProcessState.WAITING)) == ()


@pytest.mark.parametrize(
    ('details', 'text'),
    [
        ({}, 'finished'),
        ({'status': 420, 'message': 'None of 5 candidates'}, 'failed [420]: None of 5 candidates'),
        ({'status': 1}, 'failed [1]: without a message'),
        ({'state': ProcessState.KILLED}, 'killed'),
        ({'state': ProcessState.RUNNING}, 'running'),
    ],
)
def test_the_state_of_a_process(fake_process, details, text):
    assert state_of(fake_process(**details)) == text


def test_an_exception_is_told(fake_process):
    node = fake_process(state=ProcessState.EXCEPTED)
    node.set_exception('ValueError: no')
    assert state_of(node) == 'excepted: ValueError: no'


def test_a_process_without_a_report(fake_process):
    assert report_of(fake_process()) is None
