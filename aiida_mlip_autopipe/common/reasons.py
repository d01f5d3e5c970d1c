"""`Reason`: why a frame has no usable label, from the parser of a labeller to the report of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from aiida_mlip_autopipe.common.errors import MlipError
from aiida_mlip_autopipe.common.reports import FailureFields


class Reason(StrEnum):
    """Why a frame has no usable label; the value is stored in nodes, the sentence is for people."""

    sentence: str

    def __new__(cls, value: str, sentence: str = '') -> Self:
        """Return the member with its sentence."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.sentence = sentence
        return member

    SCF_NOT_CONVERGED = 'scf_not_converged', 'Self-consistency was not reached.'
    DIAGONALIZATION = 'diagonalization_failed', 'The eigenvalues could not be computed.'
    TOO_FEW_BANDS = 'too_few_bands', 'The highest band is not empty, so charge is missing.'
    OUT_OF_TIME = 'out_of_time', 'The time of the job ended first.'
    STOPPED_EARLY = 'stopped_early', 'The program stopped before its end.'
    OUTPUT_INCOMPLETE = 'output_incomplete', 'The output lacks something that a label needs.'
    OUTPUT_UNREADABLE = 'output_unreadable', 'The output is damaged, or its format is unknown.'
    NOT_FINITE = 'not_finite', 'The energy, a force or a stress is not finite.'
    FORCE_CAP = 'force_cap', 'A force is above `label.force_cap`.'
    ENERGY_OUTLIER = 'energy_outlier', 'The energy does not belong to the others of its config_type.'
    REFUSED = 'refused', 'The labeller does not take this structure.'
    PROGRAM_MISSING = 'program_missing', 'The program is not there, or must not be run.'
    MACHINE_FAILED = 'machine_failed', 'The machine failed, as by a full disk.'
    JOB_LOST = 'job_lost', 'The job ended and told nothing of the frame.'
    OTHER = 'other', 'Something else; the detail tells what.'


@dataclass(frozen=True)
class FrameFailure:
    """What befell a frame that has no usable label.

    :param detail: the value that was found, or the words of the program; may be empty.
    """

    reason: Reason
    detail: str = ''

    @classmethod
    def from_mapping(cls, entry: Mapping[str, Any]) -> Self:
        """Return the failure of an entry of a report.

        A text of another labeller or of an older version is no known reason: it becomes the detail of `OTHER`.
        """
        given, detail = str(entry['reason']), str(entry.get('detail', ''))
        known = next((reason for reason in Reason if reason == given), None)
        return cls(Reason.OTHER, f'{given}: {detail}' if detail else given) if known is None else cls(known, detail)

    def to_mapping(self) -> FailureFields:
        """Return what :meth:`from_mapping` reads, as plain texts."""
        return {'reason': self.reason.value, 'detail': self.detail}

    def __str__(self) -> str:
        return f'{self.reason} ({self.detail})' if self.detail else str(self.reason)


class LabelError(MlipError):
    """A calculation that gave no usable label."""

    def __init__(self, reason: Reason, detail: str = '') -> None:
        self.failure = FrameFailure(reason, detail)
        super().__init__(str(self.failure))


def counted(failures: Iterable[FrameFailure]) -> str:
    """Return how often each reason occurs, with the first detail of each: `2 force_cap (63 eV/Å), 1 job_lost (killed)`."""
    found = list(failures)
    first = {failure.reason: failure for failure in reversed(found)}
    return ', '.join(f'{count} {first[reason]}' for reason, count in Counter(failure.reason for failure in found).items())


def sentence_of(reason: str) -> str:
    """Return the sentence of a reason by its value; runs of older versions have others, which have none."""
    return next((known.sentence for known in Reason if known == reason), '')
