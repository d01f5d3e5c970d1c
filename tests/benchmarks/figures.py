"""What the benchmarks print: lines at once, and each figure as one line of JSON with its target."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number and its target: a lower or an upper bound, or None."""

    figure: str
    value: float
    target: float | None = None
    is_lower_bound: bool = False

    def line(self) -> str:
        """Return the figure as one line of JSON."""
        met = None if self.target is None else self.value >= self.target if self.is_lower_bound else self.value <= self.target
        values = {'figure': self.figure, 'value': float(f'{self.value:.4g}'), 'target': self.target, 'met': met}
        return json.dumps(values, ensure_ascii=False)


def one_thread() -> None:
    """Start this program anew where its libraries would use more than one thread: they read the number when they are loaded."""
    if os.environ.get('OMP_NUM_THREADS') != '1':
        os.execve(sys.executable, sys.orig_argv, {**os.environ, 'OMP_NUM_THREADS': '1'})


def say(text: str) -> None:
    """Show a line at once."""
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()
