"""What the trainers reach on the same data: `python -m tests.benchmarks.train [--data FOLDER] [--only PART ...]` from the root.

Linear ACE and POD, each by evidence, on Cu-Au (EMT), Al-Mg (Quantum ESPRESSO, six folds) and Si and Mo of a published benchmark
(Zuo et al., J. Phys. Chem. A 124, 731, 2020); Pacemaker from scratch and from the linear fit on Cu-Au where it is installed;
a grid of ridges against the evidence. FOLDER holds `pod/plain`, `almg` and `mlearn`. One thread, CPU times.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.emt import EMT
from ase.io import read

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.engines.ace.basis import basis_configuration
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.engines.ace.rows import AceRows
from aiida_mlip_autopipe.engines.pod.descriptors import PodDescriptors
from aiida_mlip_autopipe.engines.pod.files import PARAMETERS, parameter_text
from aiida_mlip_autopipe.engines.pod.fit import PodSettings
from aiida_mlip_autopipe.science.linear.fit import (
    PRESSED,
    STRESS,
    FitErrors,
    Gathered,
    errors_of,
    fit_rows,
    folds_of,
    gather,
)
from aiida_mlip_autopipe.science.linear.search import Watch, search
from aiida_mlip_autopipe.science.linear.settings import LinearSettings, base_energies
from tests.benchmarks.data import GROUPS, add_data_arguments, data_folder
from tests.benchmarks.figures import Figure, one_thread, say
from tests.benchmarks.pacemaker_fit import pacemaker_errors, pacemaker_program

RIDGES = tuple(10.0**power for power in range(-12, -4))
ISOLATED = {'Al': -52.949, 'Mg': -27.414}
"""eV, isolated atoms of the Al-Mg labels."""


@dataclass(frozen=True)
class Scope:
    """How much is measured, and on what.

    :param counts: training frames of Cu-Au.
    :param functions: of ACE for each element, in fits by evidence; `of_grid` in the grid of ridges, `of_choices` in the part
        of this name, the second for Al-Mg.
    :param folds: of Al-Mg.
    """

    data: Path
    counts: tuple[int, ...] = (10, 25, 50, 100)
    functions: tuple[str, ...] = ('40', '80', '160', '300', '600')
    of_grid: tuple[str, ...] = ('40', '80', '160', '300')
    of_choices: tuple[str, str] = ('160', '80')
    folds: int = 6
    with_pacemaker: bool = True


QUICK: dict[str, Any] = {
    'counts': (10,),
    'functions': ('20', '40'),
    'of_grid': ('20',),
    'of_choices': ('20', '20'),
    'folds': 2,
    'with_pacemaker': False,
}


@dataclass(frozen=True)
class Problem:
    """A training set, a test set and what a fit needs besides.

    :param references: eV, isolated atoms; empty where there are none.
    :param pod_cutoff: Å, for POD; ACE's is `cutoff`.
    """

    name: str
    train: Frames
    test: Frames
    elements: tuple[str, ...]
    references: dict[str, float]
    cutoff: float
    pod_cutoff: float
    has_stress: bool = True


def cu_au(data: Path, count: int) -> Problem:
    """Return `count` of the 100 training frames, the first of an order drawn once, and all test frames."""
    alone = {}
    for element in ('Cu', 'Au'):
        atom = Atoms(element, cell=[20.0] * 3)
        atom.calc = EMT()
        alone[element] = float(atom.get_potential_energy())
    train, test = ([a for g in GROUPS for a in read(data / 'pod/plain' / part / f'{g}.xyz', ':')] for part in ('train', 'test'))
    order = np.random.default_rng(0).permutation(len(train))[:count]
    chosen = Frames.from_atoms([train[i] for i in order])
    return Problem(f'Cu-Au {count}', chosen, Frames.from_atoms(test), ('Cu', 'Au'), alone, 4.5, 4.5)


def al_mg(scope: Scope) -> Iterator[Problem]:
    """Yield the folds of the 36 frames."""
    frames = read(scope.data / 'almg/labelled.extxyz', ':')
    order = np.random.default_rng(0).permutation(len(frames))
    for index, fold in enumerate(np.array_split(order, scope.folds)):
        rest = [frames[i] for i in order if i not in set(fold.tolist())]
        test = Frames.from_atoms([frames[i] for i in fold])
        yield Problem(f'Al-Mg fold {index}', Frames.from_atoms(rest), test, ('Al', 'Mg'), ISOLATED, 6.0, 4.5)


def element(data: Path, name: str, cutoff: float) -> Problem:
    """Return a problem of the published benchmark: no isolated atoms, no stresses."""
    train, test = (Frames.from_atoms(read(data / f'mlearn/{name}_{part}.xyz', ':')) for part in ('training', 'test'))
    return Problem(name, train, test, (name,), {}, cutoff, cutoff, has_stress=False)


Opener = Callable[[str], AbstractContextManager[Any]]


def ace_opener(problem: Problem) -> Opener:
    """Return what opens the rows of a basis of linear ACE."""

    def opened(size: str) -> AbstractContextManager[AceRows]:
        configuration = basis_configuration(problem.elements, int(size), problem.cutoff)
        return nullcontext(AceRows(configuration, problem.elements, with_one_body=not problem.references))

    return opened


def pod_opener(problem: Problem, folder: Path) -> Opener:
    """Return what opens the rows of a basis of POD."""

    def opened(size: str) -> PodDescriptors:
        (folder / PARAMETERS).write_text(parameter_text(problem.elements, size, problem.pod_cutoff))
        return PodDescriptors(problem.elements, folder / PARAMETERS)

    return opened


def settings_of(problem: Problem, *, is_pod: bool) -> LinearSettings:
    """Return the default settings for a problem."""
    kind: Any = PodSettings if is_pod else AceSettings
    free = is_pod or not problem.references
    stress = None if problem.has_stress else 0.0
    cutoff = problem.pod_cutoff if is_pod else problem.cutoff
    return kind(elements=problem.elements, cutoff=cutoff, free_one_body=free, stress_weight=stress, core=False)


def rows_of(problem: Problem, opener: Opener, size: str, settings: LinearSettings) -> tuple[Gathered, Gathered]:
    """Return the rows of the training and of the test set."""
    base = base_energies(problem.train, problem.references, problem.elements, is_free=settings.free_one_body)
    found = []
    with opener(size) as source:
        for frames in (problem.train, problem.test):
            found.append(gather(frames, base, source, settings, folds_of(frames, 0)[0]))
    return found[0], found[1]


@dataclass(frozen=True)
class Outcome:
    """Errors of a trainer on a test set, the basis that the evidence chose and the CPU time of the fit, s."""

    errors: FitErrors
    size: str
    seconds: float


def by_evidence(problem: Problem, functions: Sequence[str], *, is_pod: bool) -> Outcome:
    """Return what a linear trainer makes of a problem with its default settings."""
    settings = settings_of(problem, is_pod=is_pod)
    sizes = ['S', 'M'] if is_pod else list(functions)
    with tempfile.TemporaryDirectory() as folder:
        opener = pod_opener(problem, Path(folder)) if is_pod else ace_opener(problem)
        base = base_energies(problem.train, problem.references, problem.elements, is_free=settings.free_one_body)
        since = time.process_time()
        found = search(problem.train, base, settings, sizes, opener, Watch())
        seconds = time.process_time() - since
        with opener(found.report.size) as source:
            test = gather(problem.test, base, source, settings, np.zeros(len(problem.test), dtype=np.int64))
    return Outcome(errors_of(test, found.fit.coefficients), found.report.size, seconds)


def report(problem: Problem, scope: Scope) -> dict[str, Outcome]:
    """Print one line for each linear trainer and return what they reached."""
    found = {name: by_evidence(problem, scope.functions, is_pod=name == 'POD') for name in ('ACE', 'POD')}
    for name, outcome in found.items():
        e, f, s = 1000 * outcome.errors.energy, 1000 * outcome.errors.force, outcome.errors.stress
        stress = '' if s is None else f', stress {s / GPA:.3f} GPa'
        size = f'{outcome.size} functions per element' if name == 'ACE' else f'basis {outcome.size}'
        say(f'{problem.name:<16} {name}: {e:7.2f} meV/atom {f:7.1f} meV/Å{stress}; {size}, {outcome.seconds:.1f} s CPU')
    return found


def grid(problem: Problem, sizes: Sequence[str], *, is_pod: bool) -> list[tuple[float, float]]:
    """Return the force errors by evidence, for each size: over the best of a grid (test), over the smallest ridge (training)."""
    settings = settings_of(problem, is_pod=is_pod)
    ratios = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            opener = pod_opener(problem, Path(folder)) if is_pod else ace_opener(problem)
            train, test = rows_of(problem, opener, size, settings)
        fit = fit_rows(train, settings)
        plain = replace(settings, stress_weight=100.0) if problem.has_stress else settings
        others = [fit_rows(train, replace(plain, ridge=ridge)) for ridge in RIDGES]
        best = min(others, key=lambda other: errors_of(test, other.coefficients).force)
        own, least = errors_of(test, fit.coefficients), errors_of(test, best.coefficients)
        smallest = fit_rows(train, replace(settings, ridge=RIDGES[0]))
        ratios.append((own.force / least.force, fit.errors.force / smallest.errors.force))
        say(
            f'{problem.name:<10} {"POD" if is_pod else "ACE"} {size:>3}: log evidence {fit.evidence.log_evidence:9.0f}, ridge '
            f'{fit.evidence.ridge:.0e}: {1000 * own.energy:6.2f} meV/atom {1000 * own.force:6.1f} meV/Å; best of the grid '
            f'{best.evidence.ridge:.0e}: {1000 * least.energy:6.2f} {1000 * least.force:6.1f}; '
            f'ratio {ratios[-1][0]:.2f}, training over smallest ridge {ratios[-1][1]:.2f}'
        )
    return ratios


def cu_au_figures(scope: Scope) -> list[Figure]:
    """Return the figures on Cu-Au by number of training frames."""
    figures = []
    for count in scope.counts:
        found = report(cu_au(scope.data, count), scope)
        target = {25: 12.0, 100: 10.0}.get(count)
        figures.append(Figure(f'Cu-Au, {count} frames, linear ACE, meV/Å', 1000 * found['ACE'].errors.force, target))
        figures.append(Figure(f'Cu-Au, {count} frames, POD, meV/Å', 1000 * found['POD'].errors.force))
    return figures


def al_mg_figures(scope: Scope) -> list[Figure]:
    """Return the root mean squares over the folds."""
    outcomes = [(report(problem, scope), len(problem.test), len(problem.test.numbers)) for problem in al_mg(scope)]
    figures = []
    for name in ('ACE', 'POD'):
        energy = np.sqrt(np.average([o[name].errors.energy ** 2 for o, n, _ in outcomes], weights=[n for _, n, _ in outcomes]))
        force = np.sqrt(np.average([o[name].errors.force ** 2 for o, _, n in outcomes], weights=[n for _, _, n in outcomes]))
        figures += [
            Figure(f'Al-Mg, {scope.folds} folds, {name}, meV/atom', 1000 * float(energy)),
            Figure(f'Al-Mg, {scope.folds} folds, {name}, meV/Å', 1000 * float(force)),
        ]
    return figures


def element_figures(scope: Scope, name: str, cutoff: float, targets: tuple[float, float]) -> list[Figure]:
    """Return the figures on an element of the published benchmark."""
    found = report(element(scope.data, name, cutoff), scope)
    return [
        Figure(f'{name}, linear ACE, meV/atom', 1000 * found['ACE'].errors.energy, targets[0]),
        Figure(f'{name}, linear ACE, eV/Å', found['ACE'].errors.force, targets[1]),
        Figure(f'{name}, POD, meV/atom', 1000 * found['POD'].errors.energy),
        Figure(f'{name}, POD, eV/Å', found['POD'].errors.force),
    ]


def grid_figures(scope: Scope) -> list[Figure]:
    """Return the worst ratios of the evidence to a grid of ridges, over both bases and all numbers of training frames."""
    ratios = []
    for count in scope.counts:
        problem = cu_au(scope.data, count)
        ratios += grid(problem, scope.of_grid, is_pod=False)
        ratios += grid(problem, ['S', 'M'], is_pod=True)
    tests, trains = zip(*ratios, strict=True)
    return [
        Figure(f'test error by evidence / best of {len(RIDGES)} ridges, worst of {len(ratios)} fits', max(tests), 1.3),
        Figure('the same, median', float(np.median(tests))),
        Figure(f'training error by evidence / smallest ridge, worst of {len(ratios)} fits', max(trains), 2.0),
    ]


def choices(scope: Scope) -> list[Figure]:
    """Print what the choices of the fit are worth, each against the default, with 160 functions per element (Al-Mg: 80)."""
    size, of_al_mg = scope.of_choices
    groups = {
        'Cu-Au 10': [(cu_au(scope.data, 10), size)],
        'Cu-Au 25': [(cu_au(scope.data, 25), size)],
        f'Al-Mg, {scope.folds} folds': [(fold, of_al_mg) for fold in al_mg(scope)],
        'Si': [(element(scope.data, 'Si', 5.0), size)],
    }
    figures = []
    for name, cases in groups.items():
        found: dict[str, list[FitErrors]] = {}
        for problem, size in cases:
            settings = settings_of(problem, is_pod=False)
            train, test = rows_of(problem, ace_opener(problem), size, settings)
            flat = replace(train, roughness=np.ones_like(train.roughness))
            variants = {'as shipped': (train, settings), 'all functions alike': (flat, settings)}
            variants['noise of the energies by evidence'] = (train, replace(settings, energy_weight=None))
            if problem.has_stress:
                believed = replace(train, folds=[fold | {PRESSED: fold[STRESS]} for fold in train.folds])
                variants['stresses as they are'] = (believed, settings)
                variants['stress weight 100'] = (train, replace(settings, stress_weight=100.0))
            for variant, (rows, changed) in variants.items():
                found.setdefault(variant, []).append(errors_of(test, fit_rows(rows, changed).coefficients))
        for variant, errors in found.items():
            e, f = (1000 * float(np.sqrt(np.mean([getattr(own, kind) ** 2 for own in errors]))) for kind in ('energy', 'force'))
            say(f'{name:<15} {variant:<34} {e:6.2f} meV/atom {f:6.1f} meV/Å')
            figures.append(Figure(f'{name}, {variant}, meV/Å', f))
    return figures


def pacemaker_figures(scope: Scope) -> list[Figure]:
    """Return the force errors of Pacemaker on 25 frames of Cu-Au after as many iterations, from scratch and from a linear fit."""
    program = pacemaker_program()
    if not scope.with_pacemaker:
        say('Pacemaker: not measured in the quick size, it takes minutes')
        return []
    if program is None:
        say('Pacemaker: not measured, there is no .pacemaker/bin/pacemaker (./setup_profile.sh --pacemaker)')
        return []
    problem, figures = cu_au(scope.data, 25), []
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder)
        asked = AceSettings(elements=problem.elements, cutoff=problem.cutoff, functions=40)
        fit_ace(problem.train, problem.references, asked, start)
        for name, initial in (('from scratch', None), ('from the linear fit', start)):
            since = time.perf_counter()
            errors = pacemaker_errors(program, problem, initial)
            seconds, e, f = time.perf_counter() - since, 1000 * errors.energy, 1000 * errors.force
            say(f'{problem.name} Pacemaker {name}: {e:.2f} meV/atom {f:.1f} meV/Å, {seconds:.0f} s')
            figures.append(Figure(f'Cu-Au, 25 frames, Pacemaker {name}, 40 functions, 50 iterations, meV/Å', 1000 * errors.force))
    return figures


PARTS: dict[str, Callable[[Scope], list[Figure]]] = {
    'cuau': cu_au_figures,
    'almg': al_mg_figures,
    'si': lambda scope: element_figures(scope, 'Si', 5.0, (4.7, 0.112)),
    'mo': lambda scope: element_figures(scope, 'Mo', 5.2, (5.9, 0.176)),
    'grid': grid_figures,
    'choices': choices,
    'pacemaker': pacemaker_figures,
}


def main() -> None:
    """Measure the parts that the command line names, all without."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_arguments(parser)
    parser.add_argument('--only', nargs='*', choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    one_thread()
    with data_folder(arguments) as data:
        scope = Scope(data, **(QUICK if arguments.quick else {}))
        figures = [figure for part in arguments.only for figure in PARTS[part](scope)]
    for figure in figures:
        say(figure.line())


if __name__ == '__main__':
    main()
