"""The stages of a run in one process, with the settings of a configuration: what the daemon does, without its overhead.

What may end its process, LAMMPS among others, runs in a fork.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from unittest.mock import patch

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import Frames, uid_of
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.engines.ace import fit as fit_module
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.engines.ace.potential import grade_lines as ace_grade_lines
from aiida_mlip_autopipe.engines.ace.potential import pair_lines as ace_pair_lines
from aiida_mlip_autopipe.engines.ace.rows import AceRows
from aiida_mlip_autopipe.engines.ace.trainer import AceTrainer
from aiida_mlip_autopipe.engines.lammps.dynamics import run_md
from aiida_mlip_autopipe.engines.lammps.evaluate import Evaluation, evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod.files import ACTIVE_SET as POD_ACTIVE_SET
from aiida_mlip_autopipe.engines.pod.files import grade_lines, pair_lines
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.generate.collect import collect
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.label import Label
from aiida_mlip_autopipe.science.linear.rows import DesignRows
from aiida_mlip_autopipe.science.md.findings import Findings
from aiida_mlip_autopipe.science.md.journal import read_journal
from aiida_mlip_autopipe.science.md.records import MAX_SEED, MdResult, MdSettings

Result = TypeVar('Result')


def apart(folder: Path, function: Callable[..., Result], *arguments: Any) -> Result:
    """Return what a function returns in a fork of this process.

    :param folder: where it works.
    :raises EngineError: the fork ended without a result.
    """
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        os.chdir(folder)
        try:
            sender.send(function(*arguments))
        except Exception as error:  # it is raised anew on the other side
            sender.send(error)

    process = context.Process(target=work)
    process.start()
    sender.close()
    try:
        found = receiver.recv()
    except EOFError:
        raise EngineError('the process ended without a result') from None
    finally:
        process.join()
    if isinstance(found, Exception):
        raise found
    return found


def labelled(frames: Frames, force_cap: float) -> Frames:
    """Return the frames that EMT gives a usable label."""
    found = []
    for atoms in frames:
        calculator = EMT()
        calculator.calculate(atoms, ['energy', 'forces', 'stress'])
        label = Label(*(calculator.results[name] for name in ('energy', 'forces', 'stress')))
        if label.failure(force_cap=force_cap) is None:
            found.append(label.put_on(atoms, fingerprint='emt'))
    return Frames.from_atoms(found)


def isolated_energies(elements: Sequence[str]) -> dict[str, float]:
    """Return the energies of the isolated atoms by EMT, eV."""
    energies = {}
    for element in elements:
        atom = Atoms(element, cell=[20.0] * 3)
        atom.calc = EMT()
        energies[element] = float(atom.get_potential_energy())
    return energies


def generated(config: MLIPConfig, seed: int) -> Frames:
    """Return what stage generate makes."""
    return collect(structure_builder(config.system.model_dump(), config.generate.model_dump()), seed)[0]


@dataclass(frozen=True)
class Fitted:
    """A potential, the folder of its files and the size of its basis."""

    potential: LammpsPotential
    folder: Path
    size: str
    training_error: float


def fitted(config: MLIPConfig, frames: Frames, folder: Path) -> Fitted:
    """Return what stage train makes of labelled frames."""
    elements = tuple(config.system.elements)
    shared: dict[str, Any] = {'elements': elements, 'cutoff': config.train.cutoff, 'core': config.train.core_repulsion}
    references = isolated_energies(elements)
    if isinstance(config.train, AceTrainer):
        with remembered_rows():
            ace = fit_ace(frames, isolated_energies(elements), AceSettings(**shared, functions=config.train.functions), folder)
        lines = ace_pair_lines(elements), config.train.cutoff, ace_grade_lines(elements)
        potential = _potential(elements, lines, ACTIVE_SET, engine=PACE, energy_shift=ace.energy_shift)
        return Fitted(potential, folder, ace.report.size, 1000 * ace.report.errors.force)
    pod = apart(folder, fit_pod, frames, references, PodSettings(**shared, basis=config.train.basis), folder)
    lines = pair_lines(elements, pod.core), config.train.cutoff, grade_lines(elements)
    return Fitted(_potential(elements, lines, POD_ACTIVE_SET), folder, pod.report.size, 1000 * pod.report.errors.force)


def _potential(
    elements: tuple[str, ...], lines: tuple[Sequence[str], float, Sequence[str]], active_set: str, **others: Any
) -> LammpsPotential:
    plain, cutoff, graded = lines
    return LammpsPotential(elements, tuple(plain), cutoff, tuple(graded), Path(active_set), **others)


class _RememberedRows(AceRows):
    """Rows of ACE that are computed once for each frame: they depend on the basis alone."""

    _memory: ClassVar[dict[tuple[str, int], DesignRows]] = {}

    def design(self, atoms: Atoms, *, with_stress: bool = True) -> DesignRows:
        """Return the rows of a structure."""
        key = (uid_of(atoms), self.per_element)
        if key not in self._memory:
            self._memory[key] = super().design(atoms, with_stress=with_stress)
        return self._memory[key]


@contextmanager
def remembered_rows() -> Iterator[None]:
    """Let fits of ACE remember the rows of the frames that they have seen."""
    with patch.object(fit_module, 'AceRows', _RememberedRows):
        yield


def judged(found: Fitted, frames: Frames) -> Evaluation:
    """Return the predictions of a potential."""
    return apart(found.folder, evaluate_frames, frames, found.potential)


def explored(config: MLIPConfig, found: Fitted, starts: Frames, number: int, rng: np.random.Generator) -> Findings:
    """Return what stage explore finds: each start climbs the ladder as far as the potential bears it."""
    findings = Findings(config.explore.max_atoms, found.potential.cutoff, number)
    for start in starts:
        for temperature in config.explore.temperatures:
            conditions = config.explore.conditions(temperature, None, int(rng.integers(1, MAX_SEED)))
            findings.add(start, conditions, trajectory(start, found, conditions))
            if findings.runs[-1]['reason'] != 'finished':
                break
    return findings


def trajectory(start: Atoms, found: Fitted, conditions: MdSettings) -> MdResult | None:
    """Return the outcome of one run, or what it noted until its process crashed."""
    with tempfile.TemporaryDirectory() as folder:
        noted = replace(conditions, journal=folder)
        try:
            return apart(found.folder, run_md, start, found.potential, noted)
        except EngineError as error:
            return read_journal(Path(folder), start, noted, str(error))
