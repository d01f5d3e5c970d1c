"""What a chain makes of a batch job that ended: frames for another job, and frames that failed by themselves."""

from aiida import orm
from aiida.engine import ProcessState

from aiida_mlip_autopipe.common.reasons import FrameFailure, Reason
from aiida_mlip_autopipe.workflows.batch_jobs import CUT_OFF, BatchOutcome, outcome_of


def test_frames_of_a_job_without_a_report_all_wait(fake_process):
    job = fake_process(state=ProcessState.KILLED)
    assert outcome_of(job, [2, 5]) == BatchOutcome([2, 5], FrameFailure(Reason.JOB_LOST, 'killed'))
    failed = fake_process(status=310, message='nothing came back')
    assert outcome_of(failed, [2]).cause == FrameFailure(Reason.JOB_LOST, 'nothing came back')


def test_what_was_cut_or_not_reached_waits_and_the_rest_failed(fake_process):
    failures = [
        {'index': 1, 'uid': 'a', **CUT_OFF.to_mapping()},
        {'index': 4, 'uid': 'b', **FrameFailure(Reason.FORCE_CAP, '60 eV/Å').to_mapping()},
    ]
    job = fake_process(outputs={'report': orm.Dict({'failures': failures, 'not_started': [7]})}, status=520)
    assert outcome_of(job, [0, 1, 4, 7]) == BatchOutcome([7, 1], CUT_OFF, {4: FrameFailure(Reason.FORCE_CAP, '60 eV/Å')})


def test_words_of_an_older_version_come_out_of_the_cache_as_details(fake_process):
    failures = [{'index': 0, 'uid': 'a', 'reason': 'output_files'}, {'index': 1, 'uid': 'b', 'reason': 'out_of_time'}]
    job = fake_process(outputs={'report': orm.Dict({'failures': failures, 'not_started': []})}, status=420)
    assert outcome_of(job, [0, 1]) == BatchOutcome([1], CUT_OFF, {0: FrameFailure(Reason.OTHER, 'output_files')})


def test_a_job_that_did_all(fake_process):
    job = fake_process(outputs={'report': orm.Dict({'failures': [], 'not_started': []})})
    assert outcome_of(job, [0]) == BatchOutcome([])
