"""Measures how far grade and stated standard deviation can be trusted, and writes `calibration.md` and `calibration.png`.

Usage: python docs/calibration.py [--out FOLDER] [--seed NUMBER] [--almg FILE]. It takes about ten minutes of one core.
With --quick, seconds: POD with a small basis and few frames, which only shows that it works; give a FOLDER of its own.
"""

from __future__ import annotations

import argparse
import io
import itertools
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.md.langevin import Langevin
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from PIL import Image
from scipy.stats import rankdata, spearmanr

from aiida_mlip_autopipe.common.frames import BoolArray, FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.ace import files as pace
from aiida_mlip_autopipe.engines.ace import potential as ace_lines
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.engines.lammps.descriptors import posterior_spread
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod import files as pod
from aiida_mlip_autopipe.engines.pod import files as pod_lines
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from aiida_mlip_autopipe.science.calibration import Calibration, calibration
from aiida_mlip_autopipe.science.linear.factors import group_folds
from aiida_mlip_autopipe.science.linear.posterior import Posterior
from aiida_mlip_autopipe.science.linear.search import FitReport

ROOT: Final = Path(__file__).parents[1]
CUTOFF: Final = 4.5
"""Å."""

CU_AU: Final = {'Cu': 3.51, 'Au': 3.80}
AL_MG: Final = {'Al': -52.949, 'Mg': -27.414}
"""eV, isolated atoms: EMT's, and those of `pw.x` 6.7 with the settings of the Al-Mg frames, not spin polarised."""

LATTICE: Final = {'Cu': 3.59, 'Au': 4.06}
"""Å."""

SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
AMPLITUDES: Final = (0.03, 0.06, 0.1, 0.15, 0.2, 0.25)
"""Å, of the displacements of held-out frames."""

STRAINS: Final = (0.03, 0.06, 0.1, 0.15)
TEMPERATURES: Final = (300.0, 900.0, 1800.0, 2700.0)
"""K; the metals melt at 1340 and 1360 K."""

SELECT, HALT = 2.0, 10.0
BEGIN: Final = '<!-- measured: written by the script from here -->'
END: Final = '<!-- to here -->'

GRADE_EDGES: Final = (0.0, 1.0, SELECT, HALT, np.inf)
STATED_EDGES: Final = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, np.inf)
"""eV/Å."""

FIRST, LATER, ALMG = DATA = ('Cu-Au, first round', 'Cu-Au, later round', 'Al-Mg')
LARGE: Final = dict(zip(DATA, (0.1, 0.1, 0.2), strict=True))
"""eV/Å, force error of an atom above which it counts as large."""

TRAINERS: Final = ('ACE', 'POD')
COLOURS_KEPT: Final = 64
"""Of the figure, for a small file."""

GRADES: Final = (0.2, 10_000.0)
ERRORS: Final = (1.0, 100_000.0)
"""Ends of the axes, dimensionless and meV/Å."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    :param every: of the frames that are made, one is taken of so many.
    :param md_steps: between two frames of MD.
    :param folds: of the Al-Mg frames.
    :param basis: of POD, S, M or auto.
    """

    every: int = 1
    md_steps: int = 40
    folds: int = 9
    basis: str = 'auto'
    trainers: tuple[str, ...] = TRAINERS

    def some(self, frames: Sequence[Atoms]) -> Frames:
        """Return the frames that are taken."""
        return Frames.from_atoms(frames[:: self.every])


QUICK: Final = Size(every=4, md_steps=1, folds=2, basis='S', trainers=('POD',))


@dataclass(frozen=True, eq=False)
class Trial:
    """Errors of a potential on held-out frames, and what it states of them.

    :param size: of the basis.
    :param fitted: eV/Å, root mean square error of a force component on the training set.
    :param counts: atoms of each frame, shape (n_frames,).
    :param gamma: extrapolation grade, shape (n_atoms,).
    :param forces: eV/Å, errors, shape (n_atoms, 3).
    :param stated: eV/Å, standard deviation of a force vector, noise and coefficients together, shape (n_atoms,).
    :param energy: eV, errors of the cells, shape (n_frames,); `energy_stated` likewise.
    """

    size: str
    fitted: float
    counts: IntArray
    gamma: FloatArray
    forces: FloatArray
    stated: FloatArray
    energy: FloatArray
    energy_stated: FloatArray


class Sample:
    """What all trials of a trainer on one of :data:`DATA` show together; shapes as in :class:`Trial`."""

    def __init__(self, trainer: str, data: str, trials: Sequence[Trial]) -> None:
        """Join the trials: one, or one for each fold."""
        self.trainer, self.data, self.large = trainer, data, LARGE[data]
        self.name = f'{trainer}, {data}'
        self.sizes = sorted({trial.size for trial in trials})
        self.fitted = float(np.mean([trial.fitted for trial in trials]))
        parts = (
            np.concatenate([getattr(trial, name) for trial in trials])
            for name in ('counts', 'gamma', 'forces', 'stated', 'energy', 'energy_stated')
        )
        self.counts, self.gamma, self.forces, self.stated, self.energy, self.energy_stated = parts
        self.error: FloatArray = np.linalg.norm(self.forces, axis=1)

    def of_frames(self, values: FloatArray) -> FloatArray:
        """Return the largest value of each frame, as MD sees it."""
        return np.maximum.reduceat(values, np.cumsum(self.counts) - self.counts)

    def force_calibration(self, rows: BoolArray) -> Calibration:
        """Return how the deviations of the force components of some atoms agree with their errors."""
        return calibration(self.forces[rows], np.repeat(self.stated[rows, None] / np.sqrt(3), 3, axis=1))


def labelled(atoms: Atoms, kind: str) -> Atoms:
    """Return the structure with EMT's energy, forces and stress."""
    copy = atoms.copy()
    copy.info = {'config_type': kind}
    copy.calc = EMT()
    copy.get_potential_energy(), copy.get_forces(), copy.get_stress()
    return copy


def alloy(rng: np.random.Generator, share: float, size: tuple[int, int, int]) -> Atoms:
    """Return an fcc crystal with a share of gold on random sites, 4 atoms in each cubic cell."""
    atoms = bulk('Cu', a=LATTICE['Cu'] * (1 - share) + LATTICE['Au'] * share, cubic=True) * size
    atoms.symbols[rng.permutation(len(atoms))[: round(share * len(atoms))]] = 'Au'
    return atoms


def rattled(rng: np.random.Generator, atoms: Atoms, stdev: float) -> Atoms:
    """Return the structure with normal displacements (Å)."""
    copy = atoms.copy()
    copy.positions += rng.normal(0, stdev, copy.positions.shape)
    return copy


def strained(rng: np.random.Generator, atoms: Atoms, most: float) -> Atoms:
    """Return the structure with a random strain of up to `most` in each component."""
    copy = atoms.copy()
    strain = rng.uniform(-most, most, (3, 3))
    copy.set_cell(copy.cell.array @ (np.eye(3) + (strain + strain.T) / 2), scale_atoms=True)
    return copy


def first_round(rng: np.random.Generator) -> list[Atoms]:
    """Return what a first round has: 40 cells of 8 atoms, strained by up to 3 % and rattled by 0.08 Å."""
    cells = (strained(rng, alloy(rng, SHARES[i % 5], (2, 1, 1)), 0.03) for i in range(40))
    return [labelled(rattled(rng, cell, 0.08), 'train') for cell in cells]


def later_round(rng: np.random.Generator, md_steps: int) -> list[Atoms]:
    """Return what later rounds have: 90 cells of 16 atoms, strained, rattled, with a vacancy, or from MD at 900 and 1800 K."""
    found = []
    for index in range(40):
        atoms = strained(rng, alloy(rng, SHARES[index % 5], (2, 2, 1)), 0.04)
        if index % 8 == 7:
            del atoms[int(rng.integers(len(atoms)))]
        found.append(labelled(rattled(rng, atoms, (0.05, 0.1, 0.15)[index % 3]), 'train'))
    for share, temperature in itertools.product(SHARES, (900.0, 1800.0)):
        found += dynamics(rng, alloy(rng, share, (2, 2, 1)), temperature, md_steps)
    return found


def held_out(rng: np.random.Generator, md_steps: int) -> list[Atoms]:
    """Return labelled cells of 32 atoms on decorations that no training set has."""
    found = []
    for share, stdev in itertools.product(SHARES, AMPLITUDES):
        found += [labelled(rattled(rng, alloy(rng, share, (2, 2, 2)), stdev), 'rattled') for _ in range(2)]
    for share, most in itertools.product(SHARES, STRAINS):
        found += [labelled(rattled(rng, strained(rng, alloy(rng, share, (2, 2, 2)), most), 0.03), 'strained')]
    for share, count in itertools.product(SHARES, (1, 2)):
        atoms = alloy(rng, share, (2, 2, 2))
        del atoms[rng.permutation(len(atoms))[:count]]
        found += [labelled(rattled(rng, atoms, 0.06), 'vacancy')]
    for share, temperature in itertools.product((0.0, 0.5, 1.0), TEMPERATURES):
        found += dynamics(rng, alloy(rng, share, (2, 2, 2)), temperature, md_steps)
    return found


def dynamics(rng: np.random.Generator, atoms: Atoms, temperature: float, steps: int) -> list[Atoms]:
    """Return five frames of a run with EMT's own forces, `steps` of 5 fs apart: the potential has no say in what is visited."""
    atoms.calc = EMT()
    scale = np.sqrt(atoms.get_masses() * units.kB * temperature)
    atoms.set_momenta(scale[:, None] * rng.standard_normal((len(atoms), 3)))
    run = Langevin(atoms, 5 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng, fixcm=False)
    found = []
    for _ in range(5):
        run.run(steps)
        found.append(labelled(atoms, 'EMT MD'))
    return found


def fitted(
    trainer: str, train: Frames, references: dict[str, float], seed: int, size: Size, folder: Path
) -> tuple[LammpsPotential, FitReport]:
    """Return the potential that a trainer makes, its files in `folder`, and what the fit says of itself."""
    elements = tuple(references)
    if trainer == 'ACE':
        asked = AceSettings(elements=elements, cutoff=CUTOFF, seed=seed)
        ace = isolated(partial(fit_ace, train, references, asked, folder), folder)
        lines, grade_lines = ace_lines.pair_lines(elements), ace_lines.grade_lines(elements)
        active_set = Path(pace.ACTIVE_SET)
        potential = LammpsPotential(
            elements, tuple(lines), CUTOFF, tuple(grade_lines), active_set, engine=PACE, energy_shift=ace.energy_shift
        )
        return potential, ace.report
    pod_settings = PodSettings(elements=elements, cutoff=CUTOFF, seed=seed, basis=size.basis)
    fit = isolated(partial(fit_pod, train, references, pod_settings, folder), folder)
    lines, grade_lines = pod_lines.pair_lines(elements, fit.core), pod_lines.grade_lines(elements)
    return LammpsPotential(elements, tuple(lines), fit.cutoff, tuple(grade_lines), Path(pod.ACTIVE_SET)), fit.report


def tried(trainer: str, train: Frames, test: Frames, references: dict[str, float], seed: int, size: Size) -> Trial:
    """Return what the potential that `train` gives is worth on `test`."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        potential, report = fitted(trainer, train, references, seed, size, folder)
        found = isolated(partial(evaluate_frames, test, potential), folder)
        spread = isolated(partial(posterior_spread, test, potential, folder), folder)
        noise = Posterior.load(folder).noise
    if found.gamma is None:
        raise RuntimeError('the potential has no grade')
    return Trial(
        size=report.size,
        fitted=report.errors.force,
        counts=test.counts,
        gamma=found.gamma,
        forces=found.forces - test.forces,
        stated=np.sqrt(spread.forces**2 + 3 * noise['force'] ** 2),
        energy=found.energy - test.energy,
        energy_stated=np.sqrt(spread.energy**2 + test.counts * noise['energy'] ** 2),
    )


def tried_in_folds(trainer: str, path: Path, seed: int, size: Size) -> Iterator[Trial]:
    """Yield the trials of the Al-Mg frames: frames of one decoration share a fold, and a fold is predicted by all others."""
    frames = read_extxyz(path)
    decoration = np.array([''.join(frames.symbols(index)) for index in range(len(frames))])
    frames = frames.replace(lineage=decoration)
    fold_of = group_folds(decoration, size.folds, np.random.default_rng(seed))
    for fold in np.unique(fold_of):
        train, test = (frames.take(np.flatnonzero(mask)) for mask in (fold_of != fold, fold_of == fold))
        yield tried(trainer, train, test, AL_MG, seed, size)


def auc(values: FloatArray, is_large: BoolArray) -> float:
    """Return the area under the ROC curve: how often, of a large and a small error, the large one has the higher value."""
    n_large = int(is_large.sum())
    n_small = len(is_large) - n_large
    if not n_large or not n_small:
        return float('nan')
    return float((rankdata(values)[is_large].sum() - n_large * (n_large + 1) / 2) / (n_large * n_small))


def rates(gamma: FloatArray, is_large: BoolArray, threshold: float) -> tuple[float, float]:
    """Return the share of the large errors that lie above a grade, and that of the others."""
    is_above = gamma > threshold
    return float(is_above[is_large].mean()), float(is_above[~is_large].mean())


def inside(values: FloatArray, low: float, high: float) -> BoolArray:
    """Return which values lie in a bin, its upper end with it."""
    return (values > low) & (values <= high)


def bin_name(low: float, high: float) -> str:
    """Return the name of a bin."""
    return f'{low:g} to {high:g}' if np.isfinite(high) else f'above {low:g}'


def milli(values: FloatArray, percent: float = 50) -> str:
    """Return a percentile in thousandths."""
    return f'{1e3 * np.percentile(values, percent):.0f}'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [columns, ['---'] * len(columns), *rows]
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def shares(found: Calibration) -> list[str]:
    """Return the cells that say how deviations agree with errors."""
    return [f'{found.rms:.1f}', f'{found.within_one:.0%}', f'{found.within_two:.0%}']


def grade_table(samples: Iterable[Sample]) -> str:
    """Return errors and deviations of atoms by bin of the grade."""
    columns = ['potential', 'grade', 'atoms', 'error: median', '90 %', 'stated: median', 'error/stated', 'within 1', 'within 2']
    rows = []
    for sample, (low, high) in itertools.product(samples, itertools.pairwise(GRADE_EDGES)):
        own = inside(sample.gamma, low, high)
        if not own.any():
            continue
        error, cells = sample.error[own], [sample.name, bin_name(low, high), str(int(own.sum()))]
        rows.append([*cells, milli(error), milli(error, 90), milli(sample.stated[own]), *shares(sample.force_calibration(own))])
    return table(columns, rows)


def stated_table(samples: Sequence[Sample]) -> str:
    """Return the median error by bin of the stated deviation, with the number of atoms."""
    rows = []
    for low, high in itertools.pairwise(STATED_EDGES):
        chosen = [sample.error[inside(sample.stated, low, high)] for sample in samples]
        rows.append([bin_name(1e3 * low, 1e3 * high), *(f'{milli(e)} ({len(e)})' if len(e) else '-' for e in chosen)])
    return table(['stated', *(sample.name for sample in samples)], rows)


def order_table(samples: Iterable[Sample]) -> str:
    """Return how well grade and deviation order the errors of atoms and of frames, and what the thresholds do to frames."""
    columns = ['potential', 'large: atoms, frames', 'atoms: Spearman', 'ROC AUC', 'frames: Spearman', 'ROC AUC']
    rows = []
    for sample in samples:
        atoms = sample.error, sample.gamma, sample.stated
        frames = [sample.of_frames(values) for values in atoms]
        cells = [sample.name, ', '.join(f'{(error > sample.large).mean():.0%}' for error in (atoms[0], frames[0]))]
        for error, *scores in (atoms, frames):
            cells.append(', '.join(f'{spearmanr(score, error).statistic:.2f}' for score in scores))
            cells.append(', '.join(f'{auc(score, error > sample.large):.2f}' for score in scores))
        for limit in (SELECT, HALT):
            cells.append(', '.join(f'{rate:.0%}' for rate in rates(frames[1], frames[0] > sample.large, limit)))
        rows.append(cells)
    return table([*columns, *(f'above {limit:g}: large, others' for limit in (SELECT, HALT))], rows)


def energy_table(samples: Iterable[Sample]) -> str:
    """Return errors and deviations of the energies of frames on both sides of the grade of selection."""
    names = 'meV/atom', 'error/stated', 'within 1', 'within 2'
    columns = ['potential', f'up to {SELECT:g}: frames', *names, f'above {SELECT:g}: frames', *names]
    rows = []
    for sample in samples:
        is_above, cells = sample.of_frames(sample.gamma) > SELECT, [sample.name]
        for own in (~is_above, is_above):
            error = np.sqrt(np.mean((sample.energy / sample.counts)[own] ** 2))
            agreement = calibration(sample.energy[own], sample.energy_stated[own])
            cells += [str(int(own.sum())), f'{1e3 * error:.1f}', *shares(agreement)]
        rows.append(cells)
    return table(columns, rows)


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Write a column of panels for each of :data:`DATA`: grade against error, deviation against error, ROC curves."""
    mpl.use('Agg')
    plt.rcParams.update({'font.size': 9, 'axes.titlesize': 10})
    figure, axes = plt.subplots(3, len(DATA), figsize=(10.5, 10), layout='constrained')
    for column, data in enumerate(DATA):
        own = [sample for sample in samples if sample.data == data]
        for axis, values in zip(axes[:2, column], ('gamma', 'stated'), strict=True):
            scatter(axis, own, values)
        axes[0, column].set_title(f'{data}: {len(own[0].error)} held-out atoms')
        against_grade(axes[0, column], own[0].large * 1e3)
        against_stated(axes[1, column])
        roc(axes[2, column], own)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    Image.open(picture).convert('RGB').quantize(COLOURS_KEPT).save(path, optimize=True)


def scatter(axis: Axes, samples: Sequence[Sample], name: str) -> None:
    """Draw grade or deviation against error, one point for each atom; what lies beyond the axes is drawn at their end."""
    unit, ends = (1.0, GRADES) if name == 'gamma' else (1e3, ERRORS)
    points = np.concatenate(
        [[getattr(s, name) * unit, s.error * 1e3, np.full(len(s.error), i)] for i, s in enumerate(samples)], axis=1
    )
    x, y, trainer = np.random.default_rng(0).permutation(points, axis=1)  # no trainer hides the other
    colours = np.array([f'C{index}' for index in range(len(samples))])[trainer.astype(int)]
    axis.scatter(np.clip(x, *ends), np.clip(y, *ERRORS), s=3, c=colours, alpha=0.4, linewidths=0)
    for index, sample in enumerate(samples):
        axis.scatter([], [], s=25, c=f'C{index}', label=sample.trainer)
    axis.set(xscale='log', yscale='log', xlim=ends, ylim=ERRORS, ylabel='force error, meV/Å')


def against_grade(axis: Axes, large: float) -> None:
    """Mark the two thresholds and the error that counts as large (meV/Å)."""
    for threshold, name in ((SELECT, 'select'), (HALT, 'halt')):
        axis.axvline(threshold, color='k', lw=0.9, ls='--')
        axis.text(threshold * 1.07, 0.02, name, transform=axis.get_xaxis_transform(), rotation=90, va='bottom')
    axis.axhline(large, color='k', lw=0.9, ls=':')
    axis.text(GRADES[0], large * 1.05, ' large', va='bottom')
    axis.set_xlabel('extrapolation grade')
    axis.legend(loc='upper left', framealpha=0.9)


def against_stated(axis: Axes) -> None:
    """Mark where error and deviation are equal, and where the error is twice the deviation."""
    for factor, style, name in ((1, '-', 'error = stated'), (2, ':', 'error = 2 stated')):
        axis.plot(ERRORS, np.multiply(factor, ERRORS), style, color='k', lw=0.9, label=name)
    axis.set_xlabel('stated standard deviation, meV/Å')
    axis.legend(loc='upper left', framealpha=0.9)


def roc(axis: Axes, samples: Sequence[Sample]) -> None:
    """Draw, for atoms, the share of the large errors above a grade or a deviation against that of the small ones."""
    for index, sample in enumerate(samples):
        is_large = sample.error > sample.large
        for values, style, what in ((sample.gamma, '-', 'grade'), (sample.stated, ':', 'stated')):
            ordered = is_large[np.argsort(-values)]
            true, false = np.cumsum(ordered) / ordered.sum(), np.cumsum(~ordered) / (~ordered).sum()
            label = f'{sample.trainer}, {what}: AUC {auc(values, is_large):.2f}'
            axis.plot([0, *false], [0, *true], style, color=f'C{index}', lw=1.5, label=label)
        for threshold, mark in ((SELECT, 'o'), (HALT, 's')):
            hit, miss = rates(sample.gamma, is_large, threshold)
            axis.plot(miss, hit, mark, color=f'C{index}', ms=5, mfc='w')
    axis.plot([0, 1], [0, 1], color='0.7', lw=0.8)
    axis.set(xlabel='small errors above (○ grade 2, □ grade 10)', ylabel='large errors above')
    axis.legend(loc='lower right', fontsize=8)


def report(samples: Sequence[Sample], seed: int) -> str:
    """Return the measured part of the page."""
    fits = '\n'.join(f'- {s.name}: {" or ".join(s.sizes)}, {s.fitted * 1e3:.0f} meV/Å' for s in samples)
    parts = [
        f'Seed {seed}. Basis by evidence, and root mean square error of a force component on the training set:\n\n{fits}',
        '## By grade\n\nForces of atoms, meV/Å:',
        grade_table(samples),
        '## By stated deviation\n\nMedian error in meV/Å and, in brackets, atoms:',
        stated_table(samples),
        '## As a classifier\n\nGrade first, stated deviation second; of a frame the largest of its atoms.\nThe last two'
        ' columns: share of the frames with a large error, and of the others, whose grade is above.',
        order_table(samples),
        '## Energies of frames',
        energy_table(samples),
    ]
    return '\n\n'.join(parts)


def write_page(path: Path, measured: str) -> None:
    """Replace what stands between the two marks, or write a page of its own; the text around it is written by hand."""
    text = path.read_text(encoding='utf-8') if path.exists() else f'{BEGIN}\n{END}\n'
    head, _, rest = text.partition(BEGIN)
    path.write_text(f'{head}{BEGIN}\n\n{measured}\n\n{END}{rest.partition(END)[2]}', encoding='utf-8')


def measured(seed: int, almg: Path, size: Size) -> list[Sample]:
    """Return what each trainer reaches on each of :data:`DATA`."""
    rng = np.random.default_rng(seed)
    test, first, later = map(size.some, (held_out(rng, size.md_steps), first_round(rng), later_round(rng, size.md_steps)))
    found = []
    for trainer in size.trainers:
        for name, train in ((FIRST, first), (LATER, later)):
            found.append(Sample(trainer, name, [tried(trainer, train, test, CU_AU, seed, size)]))
        found.append(Sample(trainer, ALMG, list(tried_in_folds(trainer, almg, seed, size))))
    return found


def main() -> None:
    """Measure, and write page and figure."""
    parser = argparse.ArgumentParser(description='Measure how far grade and stated standard deviation can be trusted.')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs', help='folder of calibration.md and calibration.png')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--almg', type=Path, default=ROOT / 'tests' / 'fixtures' / 'almg' / 'labelled.extxyz')
    parser.add_argument('--quick', action='store_true', help='small: only shows that the script works')
    arguments = parser.parse_args()
    samples = measured(arguments.seed, arguments.almg, QUICK if arguments.quick else Size())
    draw(samples, arguments.out / 'calibration.png')
    write_page(arguments.out / 'calibration.md', report(samples, arguments.seed))


if __name__ == '__main__':
    main()
