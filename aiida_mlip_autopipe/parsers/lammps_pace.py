"""`LammpsPaceParser`: find, read and attach what the runs of a `LammpsPaceCalculation` left, then judge it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import ExitCode
from aiida.parsers import Parser
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.ace.errors import PACKAGE, REMEDY, explain_refusal
from aiida_mlip_autopipe.engines.ace.explorer import LammpsPace
from aiida_mlip_autopipe.engines.ace.md_input import RunFiles
from aiida_mlip_autopipe.engines.lammps.log import RunEnd, missing_style
from aiida_mlip_autopipe.parsers.pace_run import PaceRun, read_run
from aiida_mlip_autopipe.parsers.worker import last_words, text_of
from aiida_mlip_autopipe.science.md.findings import Findings
from aiida_mlip_autopipe.science.md.records import MdSettings, velocity_seeds

SCHEDULER_STDERR = '_scheduler-stderr.txt'
"""Where AiiDA puts the standard error of a job, unless told otherwise."""


class LammpsPaceParser(Parser):
    """Attaches candidates, traces and restart files; a stopped trajectory is a result, one that never started is not."""

    def parse(self, **kwargs: Any) -> ExitCode | None:
        """Attach first, judge last: partial results survive an error."""
        folder = Path(kwargs['retrieved_temporary_folder'])
        inputs = self.node.inputs
        starts, conditions = list(inputs.starts.frames), self._conditions()
        if not any(self._output(index) for index in range(len(starts))):
            name = self.node.get_option('scheduler_stderr') or SCHEDULER_STDERR
            return self.exit_codes.ERROR_OUTPUT_MISSING.format(stderr=last_words(self.retrieved, name))
        potential, config = inputs.potential.record, LammpsPace.model_validate(inputs.settings.get_dict())
        found = Findings(config.max_atoms, potential.cutoff, inputs.round.value)
        runs: list[PaceRun] = []
        cause = ''
        for index, (start, settings) in enumerate(zip(starts, conditions, strict=True)):
            try:
                run = read_run(
                    self._output(index),
                    _text(folder / RunFiles(index).dump),
                    start,
                    potential.elements,
                    settings,
                    shift=sum(potential.energy_shift.get(symbol, 0.0) for symbol in start.symbols),
                )
            except FormatError as error:
                cause = f'trajectory {index}: {error}'
                break
            runs.append(run)
            found.add(start, settings, run.result)
        self._attach(found)
        self._attach_restarts(folder, starts)
        if cause:
            return self.exit_codes.ERROR_OUTPUT_UNREADABLE.format(cause=cause)
        return self._judge(runs)

    def _conditions(self) -> list[MdSettings]:
        """Return the conditions of each trajectory, those with which the calculation wrote its input."""
        inputs = self.node.inputs
        config = LammpsPace.model_validate(inputs.settings.get_dict())
        pressure = inputs.pressure.value if 'pressure' in inputs else None
        return [
            config.conditions(inputs.temperature.value, pressure, seed)
            for seed in velocity_seeds(inputs.seed.value, inputs.round.value, len(inputs.starts))
        ]

    def _attach(self, found: Findings) -> None:
        self.out('report', orm.Dict(found.report))
        if found.candidates:
            self.out('candidates', FramesData(Frames.from_atoms(found.candidates)))
            self.out('candidate_grades', orm.ArrayData({'gamma': np.concatenate(found.grades)}))
        if found.uncut:
            self.out('uncut', FramesData(Frames.from_atoms(found.uncut)))
        if found.traces:
            self.out('trajectories', orm.ArrayData(found.traces))

    def _attach_restarts(self, folder: Path, starts: Sequence[Atoms]) -> None:
        restarts = orm.FolderData()
        for index in range(len(starts)):
            files = RunFiles(index)
            states = sorted(folder.glob(files.rolling), key=lambda path: int(path.suffix[1:]))
            states.extend(path for path in [folder / files.restart] if path.exists())
            if states:
                restarts.base.repository.put_object_from_file(str(states[-1]), files.restart)
        if restarts.base.repository.list_object_names():
            self.out('restarts', restarts)

    def _judge(self, runs: Sequence[PaceRun]) -> ExitCode | None:
        for run in runs:
            message = run.result.message
            if run.end is RunEnd.STYLE_MISSING:
                style, package = missing_style(message) or ('', '')
                remedy = f'it was built without the package {package or PACKAGE}; {REMEDY}'
                return self.exit_codes.ERROR_PAIR_STYLE_MISSING.format(style=style, remedy=remedy)
            if run.end is RunEnd.ERROR and (explanation := explain_refusal(message)):
                return self.exit_codes.ERROR_POTENTIAL_REFUSED.format(cause=f'{message}: {explanation}')
        if any(run.result.steps_done > 0 for run in runs):
            return None
        reasons = [run.result.message for run in runs]
        return self.exit_codes.ERROR_NO_TRAJECTORY.format(n_starts=len(runs), reasons=reasons)

    def _output(self, index: int) -> str:
        return text_of(self.retrieved, RunFiles(index).output)


def _text(path: Path) -> str:
    return path.read_text(encoding='utf-8') if path.exists() else ''
