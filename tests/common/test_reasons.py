"""Reasons why a frame has no label: each with a sentence, and whole again after they were stored."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from aiida_mlip_autopipe.common.reasons import FrameFailure, LabelError, Reason, counted, sentence_of

DOCS = Path(__file__).parents[2] / 'docs' / 'label.md'


@pytest.mark.parametrize('reason', Reason)
def test_each_reason_has_a_value_that_is_stored_and_a_sentence(reason: Reason) -> None:
    assert Reason(reason.value) is reason
    assert str(reason) == reason.value
    assert reason.sentence.endswith('.')
    assert sentence_of(reason.value) == reason.sentence
    assert f'| `{reason}` | {reason.sentence} |' in DOCS.read_text(encoding='utf-8')


def test_no_two_reasons_are_told_alike() -> None:
    assert len({reason.sentence for reason in Reason}) == len(Reason) == len(Reason.__members__)


def test_a_word_that_is_no_reason_has_no_sentence() -> None:
    assert sentence_of('output_files') == ''


@pytest.mark.parametrize('detail', ['', '63.2 eV/Å'])
def test_a_failure_survives_storage(detail: str) -> None:
    failure = FrameFailure(Reason.FORCE_CAP, detail)
    assert failure.to_mapping() == {'reason': 'force_cap', 'detail': detail}
    assert FrameFailure.from_mapping({'index': 3, 'uid': 'abc', **failure.to_mapping()}) == failure
    copy = pickle.loads(pickle.dumps(failure))
    assert copy == failure
    assert copy.reason is Reason.FORCE_CAP


@pytest.mark.parametrize(
    ('entry', 'detail'),
    [
        ({'reason': 'failed: No space left on device'}, 'failed: No space left on device'),
        ({'reason': 'license', 'detail': 'none is free'}, 'license: none is free'),
    ],
)
def test_words_of_another_labeller_are_the_detail_of_other(entry: dict[str, str], detail: str) -> None:
    assert FrameFailure.from_mapping(entry) == FrameFailure(Reason.OTHER, detail)


def test_what_people_read() -> None:
    assert str(FrameFailure(Reason.JOB_LOST)) == 'job_lost'
    assert str(LabelError(Reason.FORCE_CAP, '63.2 eV/Å')) == 'force_cap (63.2 eV/Å)'
    assert LabelError(Reason.FORCE_CAP, '63.2 eV/Å').failure == FrameFailure(Reason.FORCE_CAP, '63.2 eV/Å')


def test_failures_are_counted_by_reason_with_the_first_detail() -> None:
    details = ('63 eV/Å', '99 eV/Å')
    failures = [FrameFailure(Reason.JOB_LOST), *(FrameFailure(Reason.FORCE_CAP, detail) for detail in details)]
    assert counted(iter(failures)) == '1 job_lost, 2 force_cap (63 eV/Å)'
    assert counted([]) == ''
