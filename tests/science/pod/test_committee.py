import numpy as np
import pytest
from aiida_mlip_autopipe.science.pod.committee import (
    COMMITTEE,
    GROUPS,
    MEMBERS,
    MIN_GROUPS,
    Committee,
    bootstrap_coefficients,
    bootstrap_groups,
    committee_spread,
)
from aiida_mlip_autopipe.science.pod.linear import RowStream, combine, solve

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.evaluate import evaluate_frames
from aiida_mlip_autopipe.science.pod.fit import PodSettings, fit_pod
from tests import pod_data

RIDGE = 1e-10


def factors(n_groups=12, n_rows=30, noise=0.1, seed=0):
    """Return the factors of groups of rows of one noisy line in three dimensions."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_groups):
        rows = rng.normal(size=(n_rows, 3))
        stream = RowStream(3)
        stream.add(rows, rows @ [1.0, -2.0, 0.5] + noise * rng.normal(size=n_rows))
        found.append(stream.factor())
    return found


class TestGroups:
    def test_a_group_lies_in_one_fold_and_a_lineage_in_one_group(self):
        rng = np.random.default_rng(1)
        lineages = np.repeat([f'l{i}' for i in range(30)], 3)
        fold_of = np.repeat(np.arange(30) % 5, 3)
        groups = bootstrap_groups(lineages.tolist(), fold_of, rng)
        assert sorted(set(groups.tolist())) == list(range(GROUPS))
        for group in range(GROUPS):
            assert len(set(fold_of[groups == group])) == 1
        for name in set(lineages.tolist()):
            assert len(set(groups[lineages == name])) == 1

    def test_few_lineages_are_taken_apart(self):
        groups = bootstrap_groups(['a'] * 6 + ['b'] * 6, np.zeros(12, dtype=int), np.random.default_rng(0))
        assert len(set(groups.tolist())) == 12

    def test_the_seed_decides(self):
        lineages, folds = [f'l{i}' for i in range(60)], np.zeros(60, dtype=int)
        first, again, other = (bootstrap_groups(lineages, folds, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2))
        assert first == again != other


class TestCoefficients:
    def members(self, **options):
        return bootstrap_coefficients(factors(**options), RIDGE, members=200, rng=np.random.default_rng(3))

    def test_members_scatter_around_the_fit(self):
        members = self.members()
        centre = solve(combine(factors()), [RIDGE])[0]
        assert members.shape == (200, 3)
        np.testing.assert_allclose(members.mean(axis=0), centre, atol=4e-3)
        assert members.std(axis=0).min() > 0

    def test_the_scatter_is_the_standard_error_of_the_fit(self):
        """Ordinary least squares: sigma / sqrt(n) for uncorrelated rows of length 1 in each direction."""
        expected = 0.1 / np.sqrt(12 * 30)
        assert self.members().std(axis=0) == pytest.approx(np.full(3, expected), rel=0.5)

    def test_perfect_data_leave_nothing_to_disagree_about(self):
        assert self.members(noise=0.0).std(axis=0).max() < 1e-8

    def test_few_groups_give_no_committee(self):
        assert self.members(n_groups=MIN_GROUPS - 1).shape == (0, 3)

    def test_none_is_wanted(self):
        found = bootstrap_coefficients(factors(), RIDGE, members=0, rng=np.random.default_rng(0))
        assert found.shape == (0, 3)

    def test_rows_that_are_no_data_are_in_each_member(self):
        strong = RowStream(3)
        strong.add(1e6 * np.eye(3), 1e6 * np.array([7.0, 8.0, 9.0]))
        members = bootstrap_coefficients(factors(), RIDGE, members=4, rng=np.random.default_rng(0), prior=[strong.factor()])
        np.testing.assert_allclose(members, np.tile([7.0, 8.0, 9.0], (4, 1)), rtol=1e-3)


class TestFile:
    def committee(self):
        return Committee(('Cu', 'Au'), 4.5, np.random.default_rng(0).normal(size=(8, 5)))

    def test_what_was_saved_comes_back(self, tmp_path):
        sent = self.committee()
        sent.save(tmp_path)
        back = Committee.load(tmp_path)
        assert (back.elements, back.cutoff) == (sent.elements, sent.cutoff)
        np.testing.assert_array_equal(back.coefficients, sent.coefficients)

    @pytest.mark.parametrize('content', [None, b'', b'nothing'])
    def test_missing_or_broken(self, tmp_path, content):
        if content is not None:
            (tmp_path / COMMITTEE).write_bytes(content)
        with pytest.raises(FormatError, match='is not a committee'):
            Committee.load(tmp_path)

    @pytest.mark.parametrize('shape', [(1, 5), (5,)])
    def test_one_member_cannot_disagree(self, tmp_path, shape):
        Committee(('Cu',), 4.5, np.zeros(shape)).save(tmp_path)
        with pytest.raises(FormatError, match='is not a committee'):
            Committee.load(tmp_path)


@pytest.mark.lammps
class TestSpread:
    def test_a_fit_leaves_its_committee(self, fitted):
        folder = fitted.potential.active_set.parent
        committee = Committee.load(folder)
        assert fitted.fit.members == MEMBERS == len(committee.coefficients)
        assert committee.coefficients.shape[1] == len(fitted.fit.coefficients)
        assert (committee.elements, committee.cutoff) == (pod_data.ELEMENTS, pod_data.CUTOFF)

    def test_the_spread_is_that_of_single_potentials(self, fitted, tmp_path):
        """Each member is run as a potential of its own."""
        from aiida_mlip_autopipe.common.pod import COEFFICIENTS, PARAMETERS, coefficient_text  # noqa: PLC0415

        folder = fitted.potential.active_set.parent
        frames = fitted.frames.take([0, 7])
        forces, energies = [], []
        (tmp_path / PARAMETERS).write_bytes((folder / PARAMETERS).read_bytes())
        for row in Committee.load(folder).coefficients:
            (tmp_path / COEFFICIENTS).write_text(coefficient_text(row))
            found = evaluate_frames(frames, pod_data.potential_of(fitted.fit, tmp_path, with_grade=False))
            forces.append(found.forces)
            energies.append(found.energy)
        spread = committee_spread(frames, folder)
        np.testing.assert_allclose(spread.energy, np.std(energies, axis=0, ddof=1), rtol=1e-6)
        np.testing.assert_allclose(spread.forces, np.sqrt(np.var(forces, axis=0, ddof=1).sum(axis=1)), rtol=1e-6)

    def test_the_committee_disagrees_where_it_was_not_trained(self, fitted):
        atoms = fitted.frames.atoms(0)
        stretched = atoms.copy()
        stretched.set_cell(atoms.cell * 1.15, scale_atoms=True)
        spread = committee_spread(Frames.from_atoms([atoms.copy(), stretched]), fitted.potential.active_set.parent)
        assert spread.forces[8:].mean() > 2 * spread.forces[:8].mean()
        assert spread.energy[1] > spread.energy[0]

    def test_same_seed_same_committee(self, tmp_path):
        frames = pod_data.training_frames(10)
        settings = PodSettings(pod_data.ELEMENTS, pod_data.CUTOFF, basis='S', ridge=1e-8)
        found = []
        for _ in range(2):
            fit_pod(frames, pod_data.REFERENCES, settings, tmp_path)
            found.append(Committee.load(tmp_path).coefficients)
        np.testing.assert_array_equal(*found)

    def test_no_committee_when_none_is_wanted(self, tmp_path):
        settings = PodSettings(pod_data.ELEMENTS, pod_data.CUTOFF, basis='S', ridge=1e-8, members=0)
        assert fit_pod(pod_data.training_frames(10), pod_data.REFERENCES, settings, tmp_path).members == 0
        assert not (tmp_path / COMMITTEE).exists()

    def test_a_committee_of_another_basis(self, fitted, tmp_path):
        folder = fitted.potential.active_set.parent
        (tmp_path / 'param.pod').write_bytes((folder / 'param.pod').read_bytes())
        Committee(pod_data.ELEMENTS, pod_data.CUTOFF, np.zeros((2, 7))).save(tmp_path)
        with pytest.raises(InputError, match='the committee has 7 coefficients, the descriptors need '):
            committee_spread(fitted.frames.take([0]), tmp_path)
