"""Differences along a series against hand-made labels with known errors, and what is proposed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.science.convergence import Difference, Targets, compare_series, difference, judged, propose, roughness
from aiida_mlip_autopipe.science.label import Label

TARGETS = Targets(energy=1e-3, force=1e-2, stress=1e-3)
N_ATOMS = (1, 2, 4)
RNG = np.random.default_rng(3)
TIGHT = [Label(-10.0 * n, RNG.normal(size=(n, 3)), RNG.normal(size=6)) for n in N_ATOMS]


def moved(label: Label, *, energy: float = 0.0, force: Any = (0, 0, 0), stress: Any = 0.0) -> Label:
    """Return a label with an error: energy in eV/atom, force in eV/Å on the first atom, stress in eV/Å³."""
    assert label.energy is not None
    assert label.forces is not None
    assert label.stress is not None
    forces = label.forces.copy()
    forces[0] += force
    return Label(label.energy + energy * len(forces), forces, label.stress + stress)


def row(value: float, **columns: float) -> Difference:
    names = [field.name for field in dataclasses.fields(Difference)]
    return Difference(**{**dict.fromkeys(names, 0.0), 'value': value, **columns})


def strained(stress: Any) -> list[Label]:
    """Return the labels of a series of strains with this stress along x, as a function of the strain."""
    return [Label(0.0, np.zeros((1, 3)), np.array([stress(e), 0.0, 0.0, 0.0, 0.0, 0.0])) for e in (-0.04, -0.02, 0.02, 0.04)]


class TestRoughness:
    def test_what_a_crystal_does_is_smooth(self) -> None:
        assert roughness(strained(lambda e: 0.1 + 0.7 * e + 3.0 * e**2)) == pytest.approx(0.0, abs=1e-15)

    def test_noise_is_not(self) -> None:
        assert roughness(strained(lambda e: 0.7 * e + 0.01 * (e == 0.04))) == pytest.approx(0.005)
        assert roughness(strained(lambda e: 0.7 * e + 0.01 * (e == -0.02))) == pytest.approx(0.01)

    def test_a_pressure_does_not_count(self) -> None:
        assert roughness([Label(0.0, np.zeros((1, 3)), np.array([s, s, s, 0, 0, 0])) for s in (0.1, 0.5, 0.2, 0.7)]) == 0

    def test_a_rough_setting_is_not_proposed_though_it_agrees_with_the_tightest(self) -> None:
        rough, smooth = strained(lambda e: 0.7 * e + 5e-3 * (e == 0.02)), strained(lambda e: 0.7 * e)
        settings = [(value, dict(enumerate(labels))) for value, labels in ((1, rough), (2, rough), (3, smooth), (4, smooth))]
        wide = dataclasses.replace(TARGETS, stress=6e-3)
        assert compare_series(settings, wide, [0, 1, 2, 3]).proposal == 1
        found = compare_series(settings, dataclasses.replace(TARGETS, stress=4e-3), [0, 1, 2, 3])
        assert [one.roughness for one in found.rows] == pytest.approx([5e-3, 5e-3, 0, 0], abs=1e-12)
        assert found.proposal == 3
        assert [one.roughness for one in compare_series(settings, wide).rows] == [None] * 4
        assert [one.roughness for one in compare_series(settings, wide, [0, 1, 2, 9]).rows] == [None] * 4


class TestDifference:
    def test_energies_as_they_are_and_between_structures(self) -> None:
        found = difference(20, [moved(t, energy=e) for t, e in zip(TIGHT, (0.010, 0.012, 0.007), strict=True)], TIGHT)
        assert found.value == 20
        assert found.energy_worst == pytest.approx(0.012)
        assert found.energy_mean == pytest.approx(0.029 / 3)
        assert found.relative_worst == pytest.approx(0.005)
        assert found.relative_mean == pytest.approx((0.002 + 0.003 + 0.005) / 3)

    def test_a_common_shift_is_no_error_of_a_difference(self) -> None:
        found = difference(20, [moved(t, energy=-0.3) for t in TIGHT], TIGHT)
        assert found.energy_worst == pytest.approx(0.3)
        assert found.relative_worst == pytest.approx(0.0, abs=1e-12)

    def test_the_force_is_the_length_of_the_difference_of_the_worst_atom(self) -> None:
        found = difference(20, [moved(TIGHT[0], force=(0.03, 0, 0.04)), TIGHT[1], moved(TIGHT[2], force=(0, -0.01, 0))], TIGHT)
        assert found.force_worst == pytest.approx(0.05)
        assert found.force_mean == pytest.approx(0.06 / 3)

    def test_stress_and_the_sign_of_the_pressure(self) -> None:
        found = difference(20, [moved(t, stress=[-0.02, -0.02, -0.02, 0, 0, 0.05]) for t in TIGHT], TIGHT)
        assert found.stress_worst == pytest.approx(0.05)
        assert found.stress_mean == pytest.approx(0.05)
        assert found.pressure_mean == pytest.approx(0.02)  # less stress in ASE's sign is more pressure

    def test_the_reference_differs_by_nothing(self) -> None:
        found = dataclasses.asdict(difference(20, TIGHT, TIGHT))
        assert {name for name, value in found.items() if value} == {'value'}

    def test_it_does_not_depend_on_the_order_of_the_structures(self) -> None:
        loose = [moved(t, energy=e, force=(0, e, 0)) for t, e in zip(TIGHT, (0.010, 0.012, 0.007), strict=True)]
        there, back = difference(1, loose, TIGHT), difference(1, loose[::-1], TIGHT[::-1])
        assert dataclasses.astuple(there) == pytest.approx(dataclasses.astuple(back))

    def test_one_structure_cannot_be_compared_with_itself(self) -> None:
        with pytest.raises(InputError, match='energies of 1 structures cannot be compared'):
            difference(20, TIGHT[:1], TIGHT[:1])

    def test_a_label_without_stress(self) -> None:
        bare = [Label(t.energy, t.forces) for t in TIGHT]
        with pytest.raises(InputError, match='a label without stress'):
            difference(20, bare, TIGHT)


class TestProposal:
    def test_the_loosest_that_meets_the_targets_with_all_tighter_ones(self) -> None:
        rows = [row(10, force_worst=0.5), row(20, force_worst=0.009), row(30, force_worst=0.004), row(40)]
        assert propose(rows, TARGETS) == 20

    def test_one_that_is_good_by_chance_is_not_taken(self) -> None:
        rows = [row(10, force_worst=0.001), row(20, force_worst=0.02), row(30, force_worst=0.004), row(40)]
        assert propose(rows, TARGETS) == 30

    def test_the_tightest_is_never_proposed(self) -> None:
        rows = [row(10, force_worst=0.5), row(20, force_worst=0.02), row(30)]
        assert propose(rows, TARGETS) is None
        assert judged(rows, [0, 1], TARGETS).verdict == (
            'not converged: no value below the tightest, 30, meets the targets; extend the series beyond it'
        )

    @pytest.mark.parametrize('column', ['relative_worst', 'force_worst', 'stress_worst'])
    def test_each_target_counts_and_may_be_met_exactly(self, column: str) -> None:
        limit = {'relative_worst': TARGETS.energy, 'force_worst': TARGETS.force, 'stress_worst': TARGETS.stress}[column]
        assert limit is not None
        assert propose([row(10, **{column: limit}), row(20)], TARGETS) == 10
        assert propose([row(10, **{column: 1.01 * limit}), row(20)], TARGETS) is None

    def test_absolute_energies_and_means_do_not_count(self) -> None:
        assert propose([row(10, energy_worst=5.0, force_mean=5.0, stress_mean=5.0, pressure_mean=5.0), row(20)], TARGETS) == 10

    def test_the_stress_may_be_left_out(self) -> None:
        without = dataclasses.replace(TARGETS, stress=None)
        assert propose([row(10, stress_worst=9.0), row(20)], without) == 10

    def test_the_verdict(self) -> None:
        assert judged([row(0.5), row(0.3)], [0, 1], TARGETS).verdict == 'converged from 0.5 on, against 0.3'


class TestSeries:
    def labels(self, error: float, indices: tuple[int, ...] = (0, 1, 2)) -> dict[int, Label]:
        """Return labels by index, of which every other one is wrong by `error` eV/atom."""
        return {index: moved(TIGHT[index], energy=error * (index % 2)) for index in indices}

    def test_errors_that_fall_are_found_again(self) -> None:
        found = compare_series([(value, self.labels(0.1 / value**2)) for value in (5, 10, 20, 40)], TARGETS)
        expected = [0.1 / value**2 - 0.1 / 40**2 for value in (5, 10, 20, 40)]
        assert [r.relative_worst for r in found.rows] == pytest.approx(expected, abs=1e-12)
        assert (found.proposal, found.frames) == (10, (0, 1, 2))

    def test_a_structure_that_failed_once_is_left_out_everywhere(self) -> None:
        found = compare_series([(5, self.labels(0.5)), (10, self.labels(0.5, (0, 2))), (20, self.labels(0))], TARGETS)
        assert found.frames == (0, 2)
        assert [r.relative_worst for r in found.rows] == pytest.approx([0, 0, 0], abs=1e-12)

    def test_a_setting_without_labels_costs_no_structure(self) -> None:
        found = compare_series([(5, self.labels(0.5)), (10, {}), (20, self.labels(0))], TARGETS)
        assert ([r.value for r in found.rows], found.frames) == ([5, 20], (0, 1, 2))

    def test_when_the_tightest_gave_nothing_the_next_one_is_the_reference(self) -> None:
        found = compare_series([(5, self.labels(0)), (10, self.labels(0)), (20, {})], TARGETS)
        assert ([r.value for r in found.rows], found.proposal) == ([5, 10], 5)

    @pytest.mark.parametrize('n_left', [0, 1])
    def test_too_few_structures_prove_nothing(self, n_left: int) -> None:
        one = {index: TIGHT[index] for index in range(n_left)}
        found = compare_series([(5, self.labels(0)), (10, one), (20, self.labels(0))] if n_left else [(5, {})], TARGETS)
        assert (found.rows, found.proposal) == ((), None)
        assert found.verdict.startswith('nothing to compare: ')

    def test_one_setting_proves_nothing(self) -> None:
        found = compare_series([(5, self.labels(0))], TARGETS)
        assert found.proposal is None
        assert '3 structures are left' in found.verdict
