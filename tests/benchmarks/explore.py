"""What exploring costs, as ratios measured in one run: `python -m tests.benchmarks.explore [--quick] [--large]` from the root.

One thread, as in the jobs of the package. The repeats of what is compared are interleaved; the figures are medians of ratios.
Each ratio of wall times is followed by that of the CPU times, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from scipy.linalg import qr

from aiida_mlip_autopipe.common.units import PICOSECOND
from aiida_mlip_autopipe.engines.lammps.data import NvtRun, data_text, masses_of, nvt_input
from aiida_mlip_autopipe.engines.lammps.dynamics import START_RELAXED, START_STEPS, run_md
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem, child_environment
from aiida_mlip_autopipe.engines.lammps.md_text import THERMOSTAT_STEPS
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.md.records import MdResult, MdSettings, TrajectoryEnd
from aiida_mlip_autopipe.science.uncertainty.maxvol import maxvol
from tests import pod_data
from tests.benchmarks.figures import Figure, one_thread, say
from tests.lammps_program import lmp_binary

INTERVALS = (10, 50, 100)
NEVER_REACHED = 1e9
"""Grade limit that keeps all runs at full length."""

SAME = 1e-6
"""eV, largest difference of the last energies of runs that are said to be the same molecular dynamics."""

LARGE = (1_000_000, 500)
LARGE_MEMORY = 12 * 2**30
"""Bytes that must be free for the large MaxVol: twice 4 GB of rows, and room."""


@dataclass(frozen=True)
class Size:
    """How much is measured: repeats, frames of the fit, steps of the runs, cells of 4 atoms along each axis, rows of MaxVol."""

    repeats: int
    frames: int
    steps: int
    long_steps: int
    cells: int
    rows: int
    columns: int


FULL = Size(repeats=5, frames=60, steps=1000, long_steps=2000, cells=4, rows=100_000, columns=200)
QUICK = Size(repeats=1, frames=20, steps=100, long_steps=100, cells=3, rows=5000, columns=50)


@dataclass(frozen=True)
class Spent:
    """Time of one run, s: wall, and CPU of this process and its children."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Case:
    """The molecular dynamics that is timed, and where its files lie."""

    atoms: Atoms
    potential: LammpsPotential
    folder: Path

    def settings(self, steps: int, check_interval: int) -> MdSettings:
        """Return the conditions of a watched run that nothing stops, with the journal that a job of stage explore keeps."""
        journal = Path(tempfile.mkdtemp(dir=self.folder))
        return MdSettings(
            temperature=300.0,
            steps=steps,
            seed=11,
            check_interval=check_interval,
            gamma_select=NEVER_REACHED,
            gamma_halt=2.0 * NEVER_REACHED,
            journal=str(journal),
        )


def main() -> None:
    """Measure, tell what was seen, and end with the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='small and noisy: only shows that the script works')
    parser.add_argument('--large', action='store_true', help='also MaxVol of 1e6 x 500 rows, about 9 GB')
    options = parser.parse_args()
    one_thread()
    size = QUICK if options.quick else FULL
    with tempfile.TemporaryDirectory(prefix='explore_') as name:
        case = prepare(Path(name), size)
        figures = [*watching(case, size), *throughput(case, size), *choosing(size)]
    if options.large:
        figures += choosing_large()
    say('')
    for figure in figures:
        say(figure.line())


def prepare(folder: Path, size: Size) -> Case:
    """Return a Cu-Au alloy and a potential of the demo's basis, fitted to EMT."""
    frames = pod_data.training_frames(size.frames)
    settings = PodSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, basis='S')
    fit = fit_pod(frames, pod_data.REFERENCES, settings, folder)
    atoms = pod_data.alloy(np.random.default_rng(5), size=(size.cells,) * 3, rattle=0.02)
    say(f'{len(atoms)} atoms; POD basis {fit.report.size}, cutoff {fit.cutoff} Å, fitted to {len(frames)} frames of EMT')
    potential = pod_data.potential_of(fit, folder)
    return Case(relaxed(atoms, potential), potential, folder)


def relaxed(atoms: Atoms, potential: LammpsPotential) -> Atoms:
    """Return a start that `run_md` takes as it is: one with larger forces it would relax first."""
    with LammpsSystem(potential.elements) as system:
        system.load(atoms, potential.pair_lines)
        system.command(f'minimize 0.0 {START_RELAXED} {START_STEPS} {10 * START_STEPS}')
        return system.snapshot(atoms)


def watching(case: Case, size: Size) -> list[Figure]:
    """Return the wall time of MD that watches the grade over that of the same MD that does not, for some intervals."""
    energies: dict[str, float] = {}

    def plain() -> None:
        energies['never'] = unwatched(case, size.steps)

    def watched(interval: int) -> None:
        result = finished(run_md(case.atoms, case.potential, case.settings(size.steps, interval)))
        energies[str(interval)] = float(result.trace.potential_energy[-1])

    runs: dict[str, Callable[[], None]] = {
        'never': plain,
        **{str(interval): partial(watched, interval) for interval in INTERVALS},
    }
    times = interleaved(runs, size.repeats)
    say(f'MD of {size.steps} steps, grade watched every ... steps:')
    tell(times)
    if np.ptp(list(energies.values())) > SAME:
        raise SystemExit(f'the runs are not the same molecular dynamics: last energies {energies}')
    targets = {50: 1.10}
    return [
        figure
        for n in INTERVALS
        for figure in ratios(f'MD, grade every {n} steps / not watched', times, (str(n), 'never'), targets.get(n))
    ]


def unwatched(case: Case, steps: int) -> float:
    """Run the same MD without grade, checks and journal, and return the last potential energy, eV."""
    settings = case.settings(steps, steps)
    kelvin, step = f'{settings.temperature:.16g}', settings.timestep / PICOSECOND
    lines = [
        *case.potential.pair_lines,
        f'velocity all create {kelvin} {settings.seed} mom yes rot no dist gaussian',
        f'fix ensemble all nvt temp {kelvin} {kelvin} {THERMOSTAT_STEPS * step:.16g}',
        f'timestep {step:.16g}',
        f'thermo {steps}',
    ]
    with LammpsSystem(case.potential.elements) as system:
        system.load(case.atoms, lines)
        system.command('run 0 post no')
        system.command(f'run {steps} post no')
        return float(system.lammps.get_thermo('pe'))


def throughput(case: Case, size: Size) -> list[Figure]:
    """Return the atom-steps per second of a whole trajectory, process start included, over those of `lmp -in`."""
    steps = size.long_steps
    run = NvtRun(temperature=300.0, timestep=1.0, steps=steps, seed=11)
    (case.folder / 'in.data').write_text(data_text(case.atoms, case.potential.elements))
    text = nvt_input('in.data', case.potential.pair_lines, masses_of(case.potential.elements), run)
    (case.folder / 'in.nvt').write_text(text)
    command = [str(lmp_binary()), '-in', 'in.nvt', '-nocite', '-log', 'none']

    def ours(n_steps: int) -> None:
        finished(isolated(partial(run_md, case.atoms, case.potential, case.settings(n_steps, 50)), case.folder))

    def shell() -> None:
        subprocess.run(command, cwd=case.folder, env=child_environment(), stdout=subprocess.DEVNULL, check=True)

    runs = {'ours': lambda: ours(steps), 'lmp -in': shell, 'ours, one step': lambda: ours(1)}
    times = interleaved(runs, max(1, size.repeats - 2))
    say(f'A trajectory of {steps} steps in a process of its own, grade every 50 steps with journal, and lmp -in:')
    tell(times)
    rates = [len(case.atoms) * steps / np.median([spent.wall for spent in times[name]]) for name in ('ours', 'lmp -in')]
    say(f'  atom-steps per second of wall time: {rates[0]:.0f} and {rates[1]:.0f}')
    # the rates of the same number of atom-steps are as the inverse of the times
    return ratios('atom-steps per second, ours / lmp -in', times, ('lmp -in', 'ours'), 0.9, is_lower_bound=True)


def choosing(size: Size) -> list[Figure]:
    """Return the time of MaxVol over that of QR with pivoting on the same rows, and the difference of the log-volumes."""
    rows = np.random.default_rng(0).standard_normal((size.rows, size.columns))
    volumes: dict[str, float] = {}

    def ours() -> None:
        found = maxvol(rows)
        volumes['maxvol'] = -float(np.linalg.slogdet(found.inverse)[1])

    def plain() -> None:
        triangle, _ = qr(rows.T, pivoting=True, mode='r')
        volumes['qr'] = float(np.log(np.abs(np.diag(triangle))).sum())

    times = interleaved({'maxvol': ours, 'qr': plain}, size.repeats)
    say(f'MaxVol of {size.rows} x {size.columns} random rows:')
    tell(times)
    say(f'  log-volumes {volumes}')
    name = f'MaxVol / QR with pivoting, {size.rows} x {size.columns}'
    gain = round(volumes['maxvol'] - volumes['qr'], 9) + 0.0  # 0.0 in place of -0.0
    return [
        *ratios(name, times, ('maxvol', 'qr'), 1.0),
        Figure(f'{name}: difference of the log-volumes', gain, 0.0, is_lower_bound=True),
    ]


def choosing_large() -> list[Figure]:
    """Return seconds and peak memory of MaxVol on many rows, measured in a process of its own; none where memory is short."""
    free = os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    if free < LARGE_MEMORY:
        say(f'MaxVol of {LARGE[0]} x {LARGE[1]} was left out: {free / 2**30:.1f} GiB are free')
        return []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        spent, memory, swaps = pool.submit(large).result()
    name = f'MaxVol of {LARGE[0]} x {LARGE[1]} random rows'
    say(f'{name}: wall {spent.wall:.1f} s, CPU {spent.cpu:.1f} s, peak memory {memory:.2f} GiB, {swaps} swaps')
    return [Figure(f'{name}, s of wall time', spent.wall), Figure(f'{name}, GiB of memory at the peak', memory)]


def large() -> tuple[Spent, float, int]:
    """Return the times of the large MaxVol, the peak memory (GiB, the rows included) and the number of swaps."""
    rows = np.random.default_rng(0).standard_normal(LARGE)
    wall, cpu = time.perf_counter(), time.process_time()
    found = maxvol(rows)
    spent = Spent(time.perf_counter() - wall, time.process_time() - cpu)
    return spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, found.swaps


def finished(result: MdResult) -> MdResult:
    """Return a run that did all its steps."""
    if result.stop is not TrajectoryEnd.FINISHED:
        raise SystemExit(f'a run ended early: {result.stop} {result.message}')
    return result


def interleaved(runs: Mapping[str, Callable[[], None]], repeats: int) -> dict[str, list[Spent]]:
    """Return the times of each run: all in turn, so that a slow moment of the machine meets all of them."""
    times: dict[str, list[Spent]] = {name: [] for name in runs}
    for turn in range(repeats):
        for name in list(runs)[:: 1 if turn % 2 == 0 else -1]:
            wall, cpu = time.perf_counter(), cpu_time()
            runs[name]()
            times[name].append(Spent(time.perf_counter() - wall, cpu_time() - cpu))
    return times


def cpu_time() -> float:
    """Return the CPU time of this process and of its children that have ended, s; of the latter in steps of 10 ms."""
    return time.process_time() + sum(os.times()[2:4])


def ratios(
    name: str, times: Mapping[str, Sequence[Spent]], pair: tuple[str, str], target: float | None, *, is_lower_bound: bool = False
) -> list[Figure]:
    """Return the median, over the repeats, of the ratio of the first of a pair to the second, in wall and in CPU time."""
    both = list(zip(*(times[one] for one in pair), strict=True))
    wall = float(np.median([first.wall / second.wall for first, second in both]))
    cpu = float(np.median([first.cpu / second.cpu for first, second in both]))
    return [
        Figure(f'{name} (wall time)', wall, target, is_lower_bound),
        Figure(f'{name} (CPU time)', cpu, target, is_lower_bound),
    ]


def tell(times: Mapping[str, Sequence[Spent]]) -> None:
    """Show the medians and all wall times."""
    for name, spent in times.items():
        wall, cpu = np.median([one.wall for one in spent]), np.median([one.cpu for one in spent])
        say(f'  {name:15s} wall {wall:7.3f} s, CPU {cpu:7.3f} s; wall {", ".join(f"{one.wall:.2f}" for one in spent)}')


if __name__ == '__main__':
    main()
