"""`Finding`: the outcome of one self-check of a potential, with its number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from aiida_mlip_autopipe.common.reports import CheckEntry


@dataclass(frozen=True)
class Finding:
    """What one check found.

    :param check: its name, such as `stress_derivative` or `wall_Al-Mg`.
    :param passed: whether the potential may be used by the measure of this check; None when there was nothing to compare.
    :param value: the number that was measured; None when the check has none or the number is not finite.
    :param limit: what the number must not exceed; None without a limit.
    :param unit: of both, empty for pure numbers.
    :param message: one sentence: what was measured, and where it failed.
    """

    check: str
    passed: bool | None
    value: float | None
    limit: float | None
    unit: str
    message: str

    @classmethod
    def at_most(cls, check: str, value: float, limit: float, unit: str, message: str) -> Self:
        """Return the finding of a number that must not exceed a limit; a number that is not finite never passes."""
        is_finite = math.isfinite(value)
        return cls(check, bool(is_finite and value <= limit), float(value) if is_finite else None, limit, unit, message)

    @classmethod
    def not_made(cls, check: str, message: str) -> Self:
        """Return the finding of a check that had nothing to compare."""
        return cls(check, None, None, None, '', message)

    @classmethod
    def failed(cls, check: str, message: str) -> Self:
        """Return the finding of a check that failed without a number."""
        return cls(check, False, None, None, '', message)

    def to_dict(self) -> CheckEntry:
        """Return the finding as plain values."""
        return {
            'check': self.check,
            'passed': self.passed,
            'value': self.value,
            'limit': self.limit,
            'unit': self.unit,
            'message': self.message,
        }
