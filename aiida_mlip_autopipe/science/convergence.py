"""How far labels at loose settings lie from those at the tightest, and the loosest setting that is tight enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import FloatArray
from aiida_mlip_autopipe.science.label import Label

FEWEST = 2
"""Settings, and structures, without which nothing can be compared."""


@dataclass(frozen=True)
class Targets:
    """Errors that are still accepted.

    :param energy: eV/atom, of the energy difference between two structures.
    :param force: eV/Å, of the force on an atom.
    :param stress: eV/Å³, of a component; None does not judge it.
    """

    energy: float
    force: float
    stress: float | None


@dataclass(frozen=True)
class Difference:
    """Differences of the labels at one setting from those at the tightest; `worst` and `mean` are over the structures.

    :param value: of the parameter that changes along the series.
    :param energy_worst: eV/atom, of the energies as they are; `energy_mean` likewise.
    :param relative_worst: eV/atom, of the energy difference between two structures, over all pairs; `relative_mean` likewise.
    :param force_worst: eV/Å, length of the difference of the force vectors, of the worst atom; `force_mean` averages the worst
        atom of each structure.
    :param stress_worst: eV/Å³, largest component; `stress_mean` averages the largest component of each structure.
    :param pressure_mean: eV/Å³, with its sign, positive where the loose setting gives the larger pressure. Along a series of
        cutoffs this is the Pulay pressure: the basis does not grow with the cell.
    :param roughness: eV/Å³, see :func:`roughness`; of the labels at this setting alone. None without a series of strains.
    """

    value: float
    energy_worst: float
    energy_mean: float
    relative_worst: float
    relative_mean: float
    force_worst: float
    force_mean: float
    stress_worst: float
    stress_mean: float
    pressure_mean: float
    roughness: float | None = None

    def meets(self, targets: Targets) -> bool:
        """Whether the worst structure is good enough; energies count relative to each other, as they enter a potential."""
        stress_is_good = targets.stress is None or max(self.stress_worst, self.roughness or 0.0) <= targets.stress
        return self.relative_worst <= targets.energy and self.force_worst <= targets.force and stress_is_good


@dataclass(frozen=True)
class Series:
    """What a series of settings says.

    :param rows: from the loosest to the tightest; the last one is the reference, compared with itself.
    :param frames: indices of the structures that have a label at every setting of the rows.
    :param proposal: loosest value that meets the targets together with all tighter ones; None when there is none. Never the
        reference, about which the series says nothing.
    :param verdict: one sentence.
    """

    rows: tuple[Difference, ...]
    frames: tuple[int, ...]
    proposal: float | None
    verdict: str


def roughness(labels: Sequence[Label]) -> float:
    """Return how far the stress is from smooth, eV/Å³: |(t(2e) - t(-2e))/2 - (t(e) - t(-e))|, t = s_xx - (s_yy + s_zz)/2.

    What is even in the strain e, and what is proportional to it, drops out of the stress s. A crystal leaves little else; a mesh
    of k-points that is too coarse for its smearing leaves its noise.

    :param labels: at tetragonal strains -2e, -e, e, 2e along x.
    """
    stresses = np.array([_known(label.stress, 'stress') for label in labels])
    outer_minus, minus, plus, outer_plus = stresses[:, 0] - stresses[:, 1:3].mean(axis=1)
    return float(abs((outer_plus - outer_minus) / 2 - (plus - minus)))


def difference(value: float, labels: Sequence[Label], reference: Sequence[Label]) -> Difference:
    """Return the differences between two labellings of the same structures.

    :param value: of the parameter at which `labels` were made.
    :raises InputError: fewer than two structures, or a label lacks energy, forces or stress.
    """
    if len(labels) < FEWEST:
        raise InputError(f'energies of {len(labels)} structures cannot be compared with each other; at least {FEWEST} are needed')
    per_structure = [_one(label, tight) for label, tight in zip(labels, reference, strict=True)]
    energy, force, stress, pressure = np.array(per_structure).T
    first, second = np.triu_indices(len(energy), k=1)
    relative = np.abs(energy[first] - energy[second])
    return Difference(
        value=float(value),
        energy_worst=float(np.abs(energy).max()),
        energy_mean=float(np.abs(energy).mean()),
        relative_worst=float(relative.max()),
        relative_mean=float(relative.mean()),
        force_worst=float(force.max()),
        force_mean=float(force.mean()),
        stress_worst=float(stress.max()),
        stress_mean=float(stress.mean()),
        pressure_mean=float(pressure.mean()),
    )


def _one(label: Label, tight: Label) -> tuple[float, float, float, float]:
    """Return for one structure the difference of the energy per atom, of the worst force, the worst stress and the pressure."""
    energy, forces, stress = (
        np.asarray(_known(loose, name) - _known(reference, name))
        for name, loose, reference in (
            ('energy', label.energy, tight.energy),
            ('forces', label.forces, tight.forces),
            ('stress', label.stress, tight.stress),
        )
    )
    return (
        float(energy) / len(forces),
        float(np.linalg.norm(forces, axis=1).max()),
        float(np.abs(stress).max()),
        float(-stress[:3].mean()),  # pressure: minus a third of the trace
    )


def _known(value: float | FloatArray | None, name: str) -> FloatArray:
    if value is None:
        raise InputError(f'a label without {name} cannot be compared')
    return np.asarray(value, dtype=np.float64)


def propose(rows: Sequence[Difference], targets: Targets) -> float | None:
    """Return the loosest value that meets the targets together with all tighter ones, or None.

    :param rows: from the loosest to the tightest, which is the reference and never proposed.
    """
    proposal = None
    for row in reversed(rows[:-1]):
        if not row.meets(targets):
            break
        proposal = row.value
    return proposal


def judged(rows: Sequence[Difference], frames: Sequence[int], targets: Targets) -> Series:
    """Return a series with its proposal and its verdict.

    :param rows: from the loosest to the tightest; not empty.
    :param frames: indices of the structures that were compared.
    """
    proposal, tightest = propose(rows, targets), rows[-1].value
    verdict = (
        f'not converged: no value below the tightest, {tightest:g}, meets the targets; extend the series beyond it'
        if proposal is None
        else f'converged from {proposal:g} on, against {tightest:g}'
    )
    return Series(tuple(rows), tuple(frames), proposal, verdict)


def compare_series(
    settings: Sequence[tuple[float, Mapping[int, Label]]], targets: Targets, strains: Sequence[int] = ()
) -> Series:
    """Return the differences of each setting from the tightest, and what they say.

    Settings without any label are left out first, then the structures that lack a label at one of the others.

    :param settings: value and labels by index of the structure, from the loosest to the tightest.
    :param strains: indices of the series of strains, see :func:`roughness`; none for none.
    """
    usable = [(value, labels) for value, labels in settings if labels]
    common = sorted(set.intersection(*(set(labels) for _, labels in usable))) if usable else []
    if len(usable) < FEWEST or len(common) < FEWEST:
        counts = f'{len(usable)} settings and {len(common)} structures'
        verdict = f'nothing to compare: {counts} are left, at least {FEWEST} of each are needed'
        return Series((), tuple(common), None, verdict)
    reference = [usable[-1][1][index] for index in common]
    rows = [difference(value, [labels[index] for index in common], reference) for value, labels in usable]
    if strains and set(strains) <= set(common):
        rough = [roughness([labels[index] for index in strains]) for _, labels in usable]
        rows = [replace(row, roughness=found) for row, found in zip(rows, rough, strict=True)]
    return judged(rows, common, targets)
