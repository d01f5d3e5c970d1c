"""Measures how far the extrapolation grade can be trusted, and writes `calibration.md` and `calibration.png`.

Usage: python docs/calibration.py [--out FOLDER] [--seed NUMBER] [--almg FILE]. It takes about two minutes on one core.
"""

from __future__ import annotations

import argparse
import io
import itertools
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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
from aiida_mlip_autopipe.common.pod import ACTIVE_SET
from aiida_mlip_autopipe.formats.extxyz import read_extxyz
from aiida_mlip_autopipe.formats.pod import grade_lines, pair_lines
from aiida_mlip_autopipe.remote import engine
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.linear.factors import group_folds
from aiida_mlip_autopipe.science.pod.fit import PodSettings

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

EDGES: Final = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, np.inf)
LARGE: Final = {'Cu-Au': 0.1, 'Al-Mg': 0.2}
"""eV/Å, force error of an atom above which it counts as large."""

N_FOLDS: Final = 9
COLOURS_KEPT: Final = 64
"""Of the figure, for a small file."""

GRADES: Final = (0.2, 1000.0)
ERRORS: Final = (1.0, 20_000.0)
"""Ends of the axes, dimensionless and meV/Å."""

COLOURS: Final = {'rattled': 'C0', 'strained': 'C2', 'vacancy': 'C4', 'EMT MD': 'C3', 'alloy': 'C0', 'pure metal': 'C1'}


@dataclass(frozen=True, eq=False)
class Sample:
    """Grade and true force error of held-out atoms.

    :param name: of the potential and its data.
    :param large: eV/Å, error from which on it counts as large.
    :param fitted: eV/Å, root mean square error of a force component on the training set.
    :param gamma: extrapolation grade, shape (n_atoms,).
    :param error: eV/Å, length of the difference of the force vectors, shape (n_atoms,).
    :param frame: index of the frame of each atom, shape (n_atoms,).
    :param kind: what the frame of each atom is, shape (n_atoms,).
    """

    name: str
    large: float
    fitted: float
    gamma: FloatArray
    error: FloatArray
    frame: IntArray
    kind: np.typing.NDArray[np.str_]

    def by_frame(self) -> Sample:
        """Return the largest grade and the largest error of each frame, as MD sees it."""
        frames, first = np.unique(self.frame, return_index=True)
        gamma, error = (np.array([values[self.frame == f].max() for f in frames]) for values in (self.gamma, self.error))
        return Sample(self.name, self.large, self.fitted, gamma, error, frames, self.kind[first])

    @property
    def is_large(self) -> BoolArray:
        """Whether the error is large, shape (n_atoms,)."""
        return self.error > self.large


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


def first_round(rng: np.random.Generator) -> Frames:
    """Return what a first round has: 40 cells of 8 atoms, strained by up to 3 % and rattled by 0.08 Å."""
    cells = (strained(rng, alloy(rng, SHARES[i % 5], (2, 1, 1)), 0.03) for i in range(40))
    return Frames.from_atoms([labelled(rattled(rng, cell, 0.08), 'train') for cell in cells])


def later_round(rng: np.random.Generator) -> Frames:
    """Return what later rounds have: 90 cells of 16 atoms, strained, rattled, with a vacancy, or from MD at 900 and 1800 K."""
    found = []
    for index in range(40):
        atoms = strained(rng, alloy(rng, SHARES[index % 5], (2, 2, 1)), 0.04)
        if index % 8 == 7:
            del atoms[int(rng.integers(len(atoms)))]
        found.append(labelled(rattled(rng, atoms, (0.05, 0.1, 0.15)[index % 3]), 'train'))
    for share, temperature in itertools.product(SHARES, (900.0, 1800.0)):
        found += dynamics(rng, alloy(rng, share, (2, 2, 1)), temperature)
    return Frames.from_atoms(found)


def held_out(rng: np.random.Generator) -> Frames:
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
        found += dynamics(rng, alloy(rng, share, (2, 2, 2)), temperature)
    return Frames.from_atoms(found)


def dynamics(rng: np.random.Generator, atoms: Atoms, temperature: float) -> list[Atoms]:
    """Return five frames of a run with EMT's own forces, 0.2 ps apart: the potential has no say in what is visited."""
    atoms.calc = EMT()
    scale = np.sqrt(atoms.get_masses() * units.kB * temperature)
    atoms.set_momenta(scale[:, None] * rng.standard_normal((len(atoms), 3)))
    run = Langevin(atoms, 5 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng, fixcm=False)
    found = []
    for _ in range(5):
        run.run(40)
        found.append(labelled(atoms, 'EMT MD'))
    return found


@dataclass(frozen=True, eq=False)
class Trial:
    """Grade and force error (eV/Å) of each held-out atom, and the error of the fit on its training set (eV/Å)."""

    gamma: FloatArray
    error: FloatArray
    fitted: float


def tried(
    train: Frames, test: Frames, references: dict[str, float], *, basis: str, seed: int, ridge: float | None = None
) -> Trial:
    """Return what the potential that `train` gives is worth on `test`.

    :param ridge: None to choose it by evidence.
    """
    elements = tuple(references)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        settings = PodSettings(elements=elements, cutoff=CUTOFF, basis=basis, seed=seed, ridge=ridge)
        fit = engine.fit_pod(train, references, settings, folder)
        potential = LammpsPotential(
            elements=elements,
            pair_lines=tuple(pair_lines(elements, fit.core)),
            cutoff=fit.cutoff,
            grade_lines=tuple(grade_lines(elements)),
            active_set=Path(ACTIVE_SET),
        )
        found = engine.evaluate(test, potential, folder)
    if found.gamma is None:
        raise RuntimeError('the potential has no grade')
    return Trial(found.gamma, np.linalg.norm(found.forces - test.forces, axis=1), fit.report.errors.force)


def copper_gold(name: str, basis: str, train: Frames, test: Frames, seed: int) -> Sample:
    """Return the sample of one Cu-Au potential."""
    trial = tried(train, test, CU_AU, basis=basis, seed=seed)
    frame = np.repeat(np.arange(len(test)), test.counts)
    return Sample(name, LARGE['Cu-Au'], trial.fitted, trial.gamma, trial.error, frame, test.config_type[frame])


def aluminium_magnesium(path: Path, seed: int) -> Sample:
    """Return the sample of the Al-Mg frames: frames of one decoration share a fold, and a fold is predicted by all others."""
    frames = read_extxyz(path)
    decoration = np.array([''.join(frames.symbols(index)) for index in range(len(frames))])
    frames = frames.replace(lineage=decoration)
    fold_of = group_folds(decoration, N_FOLDS, np.random.default_rng(seed))
    frame = np.repeat(np.arange(len(frames)), frames.counts)
    gamma, error, fitted = np.zeros(len(frame)), np.zeros(len(frame)), []
    for fold in np.unique(fold_of):
        train, test = (frames.take(np.flatnonzero(mask)) for mask in (fold_of != fold, fold_of == fold))
        trial = tried(train, test, AL_MG, basis='S', seed=seed)
        rows = fold_of[frame] == fold
        gamma[rows], error[rows] = trial.gamma, trial.error
        fitted.append(trial.fitted)
    kind = np.where([len(set(frames.symbols(index))) == 1 for index in range(len(frames))], 'pure metal', 'alloy')
    return Sample('Al-Mg', LARGE['Al-Mg'], float(np.mean(fitted)), gamma, error, frame, kind[frame])


def auc(sample: Sample) -> float:
    """Return the area under the ROC curve: how often an atom with a large error has the higher grade of a pair."""
    n_large = int(sample.is_large.sum())
    n_small = len(sample.error) - n_large
    if not n_large or not n_small:
        return float('nan')
    ranks = rankdata(sample.gamma)[sample.is_large].sum()
    return float((ranks - n_large * (n_large + 1) / 2) / (n_large * n_small))


def rates(sample: Sample, threshold: float) -> tuple[float, float, float]:
    """Return the share of the large errors that lie above a grade, that of the small ones, and the share of large above it."""
    is_above, is_large = sample.gamma > threshold, sample.is_large
    parts = (is_above[is_large], is_above[~is_large], is_large[is_above])
    true, false, precision = (float(part.mean()) if len(part) else float('nan') for part in parts)
    return true, false, precision


def bin_table(samples: Sequence[Sample]) -> list[str]:
    """Return a table: for each bin of the grade n, median and 90th percentile of the error in meV/Å."""
    lines = ['| grade | ' + ' | '.join(f'{s.name}: n | median | 90 %' for s in samples) + ' |', '|---' * 10 + '|']
    for low, high in itertools.pairwise(EDGES):
        cells = [f'{low:g} to {high:g}' if np.isfinite(high) else f'above {low:g}']
        for sample in samples:
            inside = sample.error[(sample.gamma > low) & (sample.gamma <= high)] * 1e3
            figures = [f'{np.median(inside):.0f}', f'{np.percentile(inside, 90):.0f}'] if len(inside) else ['-', '-']
            cells += [str(len(inside)), *figures]
        lines.append(row(cells))
    return lines


def score_table(samples: Iterable[Sample]) -> list[str]:
    """Return a table of rank correlation and area under the ROC curve."""
    lines = ['| potential | n | large errors | Spearman | ROC AUC |', '|---' * 5 + '|']
    for s in samples:
        correlation = spearmanr(s.gamma, s.error).statistic
        lines.append(row([s.name, str(len(s.error)), f'{s.is_large.mean():.0%}', f'{correlation:.2f}', f'{auc(s):.2f}']))
    return lines


def rate_table(samples: Iterable[Sample]) -> list[str]:
    """Return a table of what the two thresholds do."""
    halves = (f'above {threshold:g}: true positives | false positives | precision' for threshold in (SELECT, HALT))
    lines = [f'| potential | {" | ".join(halves)} |', '|---' * 7 + '|']
    for s in samples:
        lines.append(row([s.name, *(f'{rate:.0%}' for threshold in (SELECT, HALT) for rate in rates(s, threshold))]))
    return lines


def kind_table(samples: Sequence[Sample]) -> list[str]:
    """Return a table: for each kind the median of the grade and of the error in meV/Å, and the rank correlation within it."""
    columns = ' | '.join(f'{s.name}: grade | error | Spearman' for s in samples)
    lines = [f'| kind | n | {columns} |', '|---' * (2 + 3 * len(samples)) + '|']
    for kind in np.unique(samples[0].kind):
        inside = samples[0].kind == kind
        cells = [str(kind), str(int(inside.sum()))]
        for gamma, error in ((s.gamma[inside], s.error[inside]) for s in samples):
            cells += [f'{np.median(gamma):.2g}', f'{np.median(error) * 1e3:.0f}', f'{spearmanr(gamma, error).statistic:.2f}']
        lines.append(row(cells))
    return lines


def row(cells: Iterable[str]) -> str:
    """Return a line of a table."""
    return f'| {" | ".join(cells)} |'


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Write grade against error of each sample, and the ROC curves of all."""
    mpl.use('Agg')
    plt.rcParams.update({'font.size': 9, 'axes.titlesize': 10})
    figure, axes = plt.subplots(2, 2, figsize=(9.6, 7.6), layout='constrained')
    for axis, sample in zip(axes.flat, samples, strict=False):
        scatter(axis, sample)
    roc(axes.flat[-1], samples)
    picture = io.BytesIO()
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    Image.open(picture).convert('RGB').quantize(COLOURS_KEPT).save(path, optimize=True)


def scatter(axis: Axes, sample: Sample) -> None:
    """Draw grade against error, one point for each atom; what lies beyond the axes is drawn at their end."""
    gamma, error = np.clip(sample.gamma, *GRADES), np.clip(sample.error * 1e3, *ERRORS)
    order = np.random.default_rng(0).permutation(len(gamma))  # no kind hides another
    colours = np.array([COLOURS[str(kind)] for kind in sample.kind])
    axis.scatter(gamma[order], error[order], s=4, c=colours[order], alpha=0.5, linewidths=0)
    for kind in np.unique(sample.kind):
        axis.scatter([], [], s=25, c=COLOURS[str(kind)], label=str(kind))
    for threshold, name in ((SELECT, 'select'), (HALT, 'halt')):
        axis.axvline(threshold, color='k', lw=0.9, ls='--')
        axis.text(threshold * 1.07, 0.02, name, transform=axis.get_xaxis_transform(), rotation=90, va='bottom')
    axis.axhline(sample.large * 1e3, color='k', lw=0.9, ls=':')
    axis.text(GRADES[1], sample.large * 1.05e3, 'large ', ha='right', va='bottom')
    axis.set(
        title=f'{sample.name}: {len(sample.error)} held-out atoms', xlabel='extrapolation grade', ylabel='force error, meV/Å'
    )
    axis.set(xscale='log', yscale='log', xlim=GRADES, ylim=ERRORS)
    axis.legend(loc='upper left', framealpha=0.9)


def roc(axis: Axes, samples: Sequence[Sample]) -> None:
    """Draw the share of the large errors above a grade against that of the small ones, atoms and frames."""
    for colour, sample in zip(('C0', 'C1', 'C2'), samples, strict=True):
        for part, style, what in ((sample, '-', 'atoms'), (sample.by_frame(), ':', 'frames')):
            order = np.argsort(-part.gamma)
            is_large = part.is_large[order]
            true, false = np.cumsum(is_large) / is_large.sum(), np.cumsum(~is_large) / (~is_large).sum()
            label = f'{part.name}, {what}: AUC {auc(part):.2f}'
            axis.plot([0, *false], [0, *true], style, color=colour, lw=1.3, label=label)
            for threshold, mark in ((SELECT, 'o'), (HALT, 's')):
                hit, miss, _ = rates(part, threshold)
                axis.plot(miss, hit, mark, color=colour, ms=5, mfc='w')
    axis.plot([0, 1], [0, 1], color='0.7', lw=0.8)
    axis.set(
        title='large errors found (○ grade 2, □ grade 10)', xlabel='small errors above the grade', ylabel='large errors above'
    )
    axis.legend(loc='lower right', fontsize=8)


def report(samples: Sequence[Sample], others: Sequence[Sample], seed: int) -> str:
    """Return the measured part of the page."""
    frames = [sample.by_frame() for sample in samples]
    limits = '; '.join(f'{name} {limit * 1e3:g} meV/Å' for name, limit in LARGE.items())
    fits = '; '.join(f'{sample.name} {sample.fitted * 1e3:.0f} meV/Å' for sample in samples)
    repeats = ', '.join(f'{auc(sample):.2f} and {auc(sample.by_frame()):.2f}' for sample in others)
    parts = [
        [f'Seed {seed}. Root mean square error of a force component on the training set: {fits}.'],
        ['## By bin of the grade', '', 'Force error per atom, meV/Å:'],
        bin_table(samples),
        ['Per frame, the largest grade against the largest force error of its atoms, meV/Å:'],
        bin_table(frames),
        ['## As a classifier', '', f'A force error is large above: {limits}. Per atom:'],
        score_table(samples),
        ['Per frame:'],
        score_table(frames),
        [f'Al-Mg with two other assignments to folds: ROC AUC of atoms and frames {repeats}.'],
        ['## What `gamma_select: 2` and `gamma_halt: 10` do', '', 'Per atom:'],
        rate_table(samples),
        ['Per frame:'],
        rate_table(frames),
        [
            '## By kind of frame',
            '',
            'Medians over frames of the largest grade and the largest force error (meV/Å), and the rank correlation:',
        ],
        kind_table(frames[:2]),
        kind_table(frames[2:]),
    ]
    return '\n\n'.join('\n'.join(part) for part in parts)


def write_page(path: Path, measured: str) -> None:
    """Replace what stands between the two marks, or write a page of its own; the text around it is written by hand."""
    text = path.read_text(encoding='utf-8') if path.exists() else f'{BEGIN}\n{END}\n'
    head, _, rest = text.partition(BEGIN)
    path.write_text(f'{head}{BEGIN}\n\n{measured}\n\n{END}{rest.partition(END)[2]}', encoding='utf-8')


def main() -> None:
    """Measure, and write page and figure."""
    parser = argparse.ArgumentParser(description='Measure how far the extrapolation grade can be trusted.')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs', help='folder of calibration.md and calibration.png')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--almg', type=Path, default=ROOT / 'tests' / 'fixtures' / 'almg' / 'labelled.extxyz')
    arguments = parser.parse_args()
    seed, rng = arguments.seed, np.random.default_rng(arguments.seed)
    test = held_out(rng)
    almg, *others = (aluminium_magnesium(arguments.almg, seed + step) for step in range(3))
    samples = [
        copper_gold('Cu-Au, first round', 'S', first_round(rng), test, seed),
        copper_gold('Cu-Au, later round', 'M', later_round(rng), test, seed),
        almg,
    ]
    draw(samples, arguments.out / 'calibration.png')
    write_page(arguments.out / 'calibration.md', report(samples, others, seed))


if __name__ == '__main__':
    main()
