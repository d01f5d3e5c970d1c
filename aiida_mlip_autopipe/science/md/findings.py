"""`Findings`: what the trajectories of an exploration gave: entries, candidates, their grades, and traces."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray, uid_of
from aiida_mlip_autopipe.common.reports import TrajectoryEntry
from aiida_mlip_autopipe.science.carve import carve
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, MdTrace, TrajectoryEnd

CONFIG_TYPE = 'md'

FAILURE = 'md_failure'
"""config_type of frames from before the failure of a trajectory."""


@dataclass
class Findings:
    """What the trajectories gave so far; every explorer reports it in this form.

    :param max_atoms: larger candidates are cut to this size around their most uncertain atom.
    :param cutoff: Å, range of the potential.
    :param loop_round: round of the loop that the candidates belong to.
    :param runs: one entry for each trajectory.
    :param candidates: frames above `gamma_select`, none twice.
    :param grades: of their atoms, dimensionless.
    :param uncut: frames that are too large and could not be cut.
    :param traces: columns of the checks, their names ending in the number of the trajectory.
    """

    max_atoms: int
    cutoff: float
    loop_round: int
    runs: list[TrajectoryEntry] = field(default_factory=list)
    candidates: list[Atoms] = field(default_factory=list)
    grades: list[FloatArray] = field(default_factory=list)
    uncut: list[Atoms] = field(default_factory=list)
    traces: dict[str, FloatArray] = field(default_factory=dict)
    n_duplicates: int = 0
    n_checks: int = 0
    n_above: int = 0

    def add(self, start: Atoms, settings: MdSettings, result: MdResult | None, message: str = '') -> None:
        """Take over the outcome of the next trajectory.

        :param result: None for one that never began.
        :param message: why it never began.
        """
        found = result if result is not None else _nothing(message)
        index, gammas = len(self.runs), found.trace.gamma_max
        warm = gammas[found.trace.step >= settings.warmup]
        self.n_checks += len(warm)
        self.n_above += int((warm > settings.gamma_select).sum())
        self.traces |= {f'{name}_{index}': column for name, column in _columns(found).items() if len(column)}
        n_before = sum(self._adopt(frame, start, settings, found.stop.value) for frame in found.before_failure)
        n_candidates = sum(self._adopt(frame, start, settings) for frame in found.candidates)
        self.runs.append(_entry(start, settings, found, n_candidates=n_candidates, n_before_failure=n_before))

    @property
    def report(self) -> dict[str, Any]:
        """The entries, the share of the checks after the warm-up above `gamma_select`, and what became of those frames."""
        return {
            'trajectories': self.runs,
            'share_above_select': self.n_above / self.n_checks if self.n_checks else None,
            'n_candidates': len(self.candidates),
            'n_duplicates': self.n_duplicates,
            'n_uncut': len(self.uncut),
        }

    def _adopt(self, frame: Atoms, start: Atoms, settings: MdSettings, failure: str = '') -> bool:
        """Keep a frame, cut to size; return False for one that was found before or cannot be cut, which is kept apart.

        :param failure: reason of the failure before which the frame was seen, or ''.
        """
        grades = np.asarray(frame.arrays['gamma'], dtype=np.float64)
        atoms = frame
        facts: dict[str, Any] = {'failure': failure} if failure else {}
        if len(frame) > self.max_atoms:
            try:
                carved = carve(frame, int(grades.argmax()), cutoff=self.cutoff, max_atoms=self.max_atoms)
            except InputError as error:
                self.uncut.append(self._candidate(frame, frame, start, settings, {**facts, 'uncut': str(error)}))
                return False
            atoms, grades = carved.atoms, grades[carved.indices]
            facts |= {'carved_from': len(frame), 'centre': carved.centre}
        candidate = self._candidate(atoms, frame, start, settings, facts)
        if any(candidate.info['uid'] == other.info['uid'] for other in self.candidates):
            self.n_duplicates += 1
            return False
        self.candidates.append(candidate)
        self.grades.append(grades)
        return True

    def _candidate(self, atoms: Atoms, frame: Atoms, start: Atoms, settings: MdSettings, facts: dict[str, Any]) -> Atoms:
        """Return a frame of a trajectory, or the cell cut out of it, as a structure of its own, with where it came from."""
        candidate = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        origin = {
            'strategy': CONFIG_TYPE,
            'temperature': settings.temperature,
            'pressure': settings.pressure,
            'seed': settings.seed,
            'step': frame.info['step'],
            'gamma_max': frame.info['gamma_max'],
            **facts,
        }
        candidate.info = {
            'uid': uid_of(candidate),
            'lineage': start.info['lineage'],
            'parent': start.info['uid'],
            'config_type': FAILURE if 'failure' in facts else CONFIG_TYPE,
            'round': self.loop_round,
            'origin': json.dumps(origin, sort_keys=True),
        }
        return candidate


def _nothing(message: str) -> MdResult:
    columns = (np.zeros(0) for _ in range(4))
    return MdResult([], TrajectoryEnd.ERROR, message, 0, 0, MdTrace(np.zeros(0, dtype=np.int64), *columns))


def _entry(start: Atoms, settings: MdSettings, result: MdResult, *, n_candidates: int, n_before_failure: int) -> TrajectoryEntry:
    gammas, bonds = result.trace.gamma_max, result.trace.bond
    finite = gammas[np.isfinite(gammas)]
    is_warm = result.trace.step >= settings.warmup
    return {
        'start': start.info['uid'],
        'lineage': start.info['lineage'],
        'temperature': settings.temperature,
        'temperature_end': settings.temperature_end,
        'pressure': settings.pressure,
        'seed': settings.seed,
        'reason': result.stop.value,
        'passed': result.stop is TrajectoryEnd.FINISHED,
        'message': result.message,
        'steps_done': result.steps_done,
        'n_checks': int(is_warm.sum()),
        'warmup_steps': settings.warmup,
        'n_selected': result.n_selected,
        'gamma_max': float(finite.max()) if len(finite) else None,
        # An explorer whose LAMMPS watches by itself only knows that a bond is too short, not how short.
        'shortest_bond': float(bonds.min()) if len(bonds) and np.isfinite(bonds).all() else None,
        'share_above_select': _share_above(gammas[is_warm], settings),
        'share_above_in_warmup': _share_above(gammas[~is_warm], settings),
        'n_candidates': n_candidates,
        'n_before_failure': n_before_failure,
    }


def _share_above(gammas: FloatArray, settings: MdSettings) -> float | None:
    return float((gammas > settings.gamma_select).mean()) if len(gammas) else None


def _columns(result: MdResult) -> dict[str, FloatArray]:
    trace = result.trace
    return {
        'step': trace.step.astype(np.float64),
        'gamma_max': trace.gamma_max,
        'temperature': trace.temperature,
        'energy': trace.potential_energy,
        'pressure': trace.pressure,
        'bond': trace.bond,
    }
