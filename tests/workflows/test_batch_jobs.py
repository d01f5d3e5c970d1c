"""What a chain makes of a batch job that ended: frames for another job, and frames that failed by themselves."""

from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipe.engines.espresso.batch import OUT_OF_TIME
from aiida_mlip_autopipe.workflows.batch_jobs import BatchOutcome, outcome_of


def test_frames_of_a_job_without_a_report_all_wait(fake_process):
    job = fake_process(state=ProcessState.KILLED)
    assert outcome_of(job, [2, 5]) == BatchOutcome([2, 5], 'job_failed: killed')
    failed = fake_process(status=310, message='nothing came back')
    assert outcome_of(failed, [2]).reason == 'job_failed: nothing came back'


def test_what_was_cut_or_not_reached_waits_and_the_rest_failed(fake_process):
    failures = [{'index': 1, 'uid': 'a', 'reason': OUT_OF_TIME}, {'index': 4, 'uid': 'b', 'reason': 'force_cap'}]
    job = fake_process(outputs={'report': orm.Dict({'failures': failures, 'not_started': [7]})}, status=520)
    assert outcome_of(job, [0, 1, 4, 7]) == BatchOutcome([7, 1], OUT_OF_TIME, {4: 'force_cap'})


def test_a_job_that_did_all(fake_process):
    job = fake_process(outputs={'report': orm.Dict({'failures': [], 'not_started': []})})
    assert outcome_of(job, [0]) == BatchOutcome([])
