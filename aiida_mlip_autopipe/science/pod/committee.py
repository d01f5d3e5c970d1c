"""The bootstrap committee of a POD potential: fits to reweighted training sets, whose disagreement ranks structures.

The fit is linear, so a member costs one small decomposition: the rows of each group of related frames are kept as a triangular
factor, and a member weighs these factors anew. The weights are those of the Bayesian bootstrap (Rubin, Ann. Statist. 9, 130,
1981): exponential numbers, of mean 1 and variance 1 like the counts of drawing with replacement, but never 0, so that no
element and no phase that stands in a single group vanishes from a member.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.common.pod import PARAMETERS
from aiida_mlip_autopipe.science.pod.descriptors import PodDescriptors
from aiida_mlip_autopipe.science.pod.guards import require_usable
from aiida_mlip_autopipe.science.pod.linear import Factor, combine, group_folds, solve

COMMITTEE: Final = 'committee.npz'
"""Name of the file in the folder of a POD potential."""

MEMBERS: Final = 8
"""Members of a committee; the ranking hardly changes with more."""

GROUPS: Final = 20
"""Groups of frames that are weighted alike, about: more cost memory and change little."""

MIN_GROUPS: Final = 4
"""Below this number of groups the members differ too little, or by chance alone, and there is no committee."""

MIN_LINEAGES: Final = 8
"""Below this number of lineages frames are weighted one by one, as so few lineages could not show what is uncertain."""


@dataclass(frozen=True, eq=False)
class Committee:
    """Coefficients of the members.

    :param elements: chemical symbols in the order of the potential.
    :param cutoff: Å.
    :param coefficients: eV, shape (n_members, n_coefficients).
    """

    elements: tuple[str, ...]
    cutoff: float
    coefficients: FloatArray

    def save(self, folder: Path) -> None:
        """Write the file into the folder of the potential."""
        columns = {'elements': np.array(self.elements), 'cutoff': np.array(self.cutoff), 'coefficients': self.coefficients}
        with (folder / COMMITTEE).open('wb') as handle:
            np.savez_compressed(handle, **columns)  # type: ignore[arg-type]  # mypy takes the columns for `allow_pickle`

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Return the committee in the folder of a potential.

        :raises FormatError: the file is missing or broken.
        """
        path = folder / COMMITTEE
        try:
            with np.load(path, allow_pickle=False) as stored:
                coefficients = np.asarray(stored['coefficients'], dtype=np.float64)
                found = cls(tuple(str(e) for e in stored['elements']), float(stored['cutoff']), coefficients)
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise FormatError(f'{path} is not a committee: {error}') from error
        if coefficients.ndim != 2 or len(coefficients) < 2:
            raise FormatError(f'{path} is not a committee: its coefficients have the shape {coefficients.shape}')
        return found


@dataclass(frozen=True, eq=False)
class Spread:
    """Disagreement of the members, sample standard deviations.

    :param energy: eV, of the energy of each cell, shape (n_frames,).
    :param forces: eV/Å, of the force of each atom, over its three components together, shape (n_atoms,).
    """

    energy: FloatArray
    forces: FloatArray


def bootstrap_groups(lineages: Sequence[str], fold_of: IntArray, rng: np.random.Generator) -> IntArray:
    """Return the group of each frame, shape (n_frames,); a group lies in one fold, and related frames in one group.

    :param lineages: of each frame; with fewer than :data:`MIN_LINEAGES` each frame counts by itself.
    :param fold_of: fold of the cross-validation, shape (n_frames,).
    """
    names = np.asarray(lineages, dtype=np.str_)
    if len(np.unique(names)) < MIN_LINEAGES:
        names = np.arange(len(names)).astype(np.str_)
    folds = np.unique(fold_of)
    per_fold = max(1, GROUPS // len(folds))
    groups = np.zeros(len(names), dtype=np.int64)
    count = 0
    for fold in folds:
        members = np.flatnonzero(fold_of == fold)
        groups[members] = count + group_folds(names[members], per_fold, rng)
        count = int(groups[members].max()) + 1
    return groups


def bootstrap_coefficients(
    factors: Sequence[Factor], ridge: float, *, members: int, rng: np.random.Generator, prior: Sequence[Factor] = ()
) -> FloatArray:
    """Return the coefficients of each member, shape (n_members, n_coefficients), without members where there are few groups.

    :param factors: weighted rows of each group.
    :param ridge: that of the fit.
    :param prior: weighted rows that are no data and that each member has alike.
    """
    n_columns = factors[0].triangle.shape[1] - 1
    if members == 0 or len(factors) < MIN_GROUPS:
        return np.zeros((0, n_columns))
    weights = rng.exponential(size=(members, len(factors)))
    weights /= weights.mean(axis=1, keepdims=True)
    solutions = []
    for row in np.sqrt(weights):
        weighted = [factor.scaled(float(weight)) for factor, weight in zip(factors, row, strict=True)]
        solutions.append(solve(combine([*prior, *weighted]), [ridge])[0])
    return np.array(solutions)


def committee_spread(frames: Frames, folder: Path) -> Spread:
    """Return how much the members of the committee in `folder` disagree, in this process; `remote.engine.spread` isolates it.

    :raises InputError: a frame that LAMMPS cannot handle, or parameters that belong to another committee.
    :raises FormatError: there is no readable committee.
    """
    committee = Committee.load(folder)
    require_usable(frames, committee.elements, committee.cutoff)
    members = committee.coefficients.T
    energy, forces = np.zeros(len(frames)), np.zeros(len(frames.numbers))
    with PodDescriptors(committee.elements, folder / PARAMETERS) as source:
        for index, atoms in enumerate(frames):
            design = source.design(atoms, with_stress=False)
            if len(design.energy) != len(members):
                raise InputError(f'the committee has {len(members)} coefficients, the descriptors need {len(design.energy)}')
            energy[index] = (design.energy @ members).std(ddof=1)
            variance = (design.forces @ members).var(axis=1, ddof=1).reshape(-1, 3).sum(axis=1)
            forces[frames.rows(index)] = np.sqrt(variance)
    return Spread(energy, forces)
