"""Geometric sanity: each reason alone, self images of small cells, and a reference neighbour search."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii
from ase.neighborlist import primitive_neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.selection.sanity import SanityLimits, sanity_reasons

AL = 2 * covalent_radii[13]


def reasons(*structures, bond=0.6, skew=60.0, **options):
    return sanity_reasons(Frames.from_atoms(structures), min_bond_fraction=bond, max_skew=skew, **options)


def reference_short_bond(atoms, fraction):
    reach = fraction * covalent_radii[atoms.numbers]
    return len(primitive_neighbor_list('i', atoms.pbc, atoms.cell.array, atoms.positions, cutoff=reach)) > 0


@pytest.mark.parametrize('structure', [('Al', 'fcc', 4.05), ('Fe', 'bcc', 2.87), ('Si', 'diamond', 5.43), ('Po', 'sc', 3.35)])
def test_crystals_are_sane(structure):
    symbol, kind, a = structure
    cells = [bulk(symbol, kind, a=a), bulk(symbol, kind, a=a, cubic=True), bulk(symbol, kind, a=a) * (1, 1, 4)]
    assert reasons(*cells) == ['', '', '']


def test_no_frames():
    assert reasons() == []


def test_not_periodic():
    slab = bulk('Al', cubic=True)
    slab.pbc = [True, True, False]
    assert reasons(slab, Atoms('Al')) == ['not_periodic'] * 2


def test_pair_around_the_limit():
    pairs = [Atoms('Al2', [[0, 0, 0], [d, 0, 0]], cell=[10] * 3, pbc=True) for d in (0.599 * AL, 0.601 * AL)]
    assert reasons(*pairs) == ['short_bond', '']


def test_pair_through_the_boundary():
    far, near = 9.9, 10.0 - 0.59 * AL
    pairs = [Atoms('Al2', [[0.0, 0, 0], [d, 0, 0]], cell=[10] * 3, pbc=True) for d in (far, near, 5.0)]
    assert reasons(*pairs) == ['short_bond', 'short_bond', '']


def test_radii_of_both_elements_count():
    limit = 0.6 * (covalent_radii[1] + covalent_radii[13])
    pairs = [Atoms('AlH', [[0, 0, 0], [d, 0, 0]], cell=[10] * 3, pbc=True) for d in (limit - 0.01, limit + 0.01)]
    assert reasons(*pairs) == ['short_bond', '']


def test_self_image_of_a_single_atom():
    cells = [Atoms('Al', cell=[edge] * 3, pbc=True) for edge in (0.59 * AL, 0.61 * AL)]
    assert reasons(*cells) == ['short_bond', '']


def test_self_image_along_a_diagonal():
    # a2 = -0.9 a1 + small: every lattice vector is long, but a1 + a2 is short
    cell = [[4.0, 0, 0], [-3.5, 1.0, 0], [0, 0, 4.0]]
    assert reasons(Atoms('Al', cell=cell, pbc=True), skew=90.0) == ['short_bond']


def test_skew_is_the_largest_angle_from_ninety():
    primitive = bulk('Al')
    assert reasons(primitive, skew=30.1) == ['']
    assert reasons(primitive, skew=29.9) == ['skewed_cell']
    sheared = bulk('Al', cubic=True) * 2
    sheared.set_cell([[8.1, 0, 0], [8.1, 8.1, 0], [0, 0, 8.1]], scale_atoms=False)
    assert reasons(sheared, skew=44.0) == ['skewed_cell']
    assert reasons(sheared, skew=46.0) == ['']


def test_flat_cells():
    thin = Atoms('Al', cell=[3.0, 3.0, 0.4], pbc=True)
    plate = bulk('Al', cubic=True) * (1, 1, 11)
    no_volume = Atoms('Al', cell=[[3, 0, 0], [6, 0, 0], [0, 0, 3]], pbc=True)
    no_volume.info['uid'] = 'given'  # a cell without volume has no scaled positions to hash
    nothing = Atoms('Al', cell=np.zeros((3, 3)), pbc=True)
    assert reasons(thin, plate, no_volume, nothing) == ['flat_cell'] * 4
    assert reasons(plate, max_aspect=11.5) == ['']


def test_volume_bounds():
    cells = [bulk('Al', a=a) for a in (3.3, 4.05, 6.0)]
    assert reasons(*cells, volume_per_atom=(1.5, 4.0)) == ['small_volume', '', 'large_volume']
    assert reasons(*cells, volume_per_atom=None) == ['', '', '']


def test_fcc_aluminium_fills_as_documented():
    assert reasons(bulk('Al', a=4.05), volume_per_atom=(2.2, 2.3)) == ['']


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10_000), n_atoms=st.integers(1, 6), edge=st.floats(1.5, 6.0), fraction=st.floats(0.2, 1.2))
def test_bonds_agree_with_the_reference(seed, n_atoms, edge, fraction):
    rng = np.random.default_rng(seed)
    cell = edge * np.eye(3) + 0.4 * edge * rng.uniform(-1, 1, (3, 3))
    numbers = rng.choice([1, 13, 12], size=n_atoms)
    atoms = Atoms(numbers=numbers, scaled_positions=rng.uniform(-2, 2, (n_atoms, 3)), cell=cell, pbc=True)
    (found,) = reasons(atoms, bond=fraction, skew=90.0, max_aspect=1e6)
    if found != 'flat_cell':
        assert (found == 'short_bond') == reference_short_bond(atoms, fraction)


def test_translation_rotation_and_permutation():
    rng = np.random.default_rng(1)
    for scale in (0.1, 0.5):
        atoms = bulk('Al', cubic=True) * (2, 2, 2)
        atoms.rattle(scale, seed=3)
        moved = atoms.copy()
        moved.positions += [3.1, -7.7, 0.4]
        turned = atoms.copy()
        turned.rotate(33, (1, 2, 3), rotate_cell=True)
        shuffled = atoms[rng.permutation(len(atoms))]
        assert len(set(reasons(atoms, moved, turned, shuffled, bond=0.8))) == 1


def test_one_bad_frame_does_not_touch_the_others():
    bad = Atoms('Al2', [[0, 0, 0], [0.5, 0, 0]], cell=[10] * 3, pbc=True)
    assert reasons(bulk('Al'), bad, bulk('Mg')) == ['', 'short_bond', '']


@pytest.mark.parametrize(
    ('limits', 'text'),
    [
        ({'min_bond_fraction': -0.1}, 'min_bond_fraction must be at least 0'),
        ({'max_skew': 91.0}, 'max_skew must lie in'),
        ({'max_aspect': 0.9}, 'max_aspect must be at least 1'),
        ({'volume_per_atom': (2.0, 1.0)}, 'a lower and a higher bound'),
    ],
)
def test_limits_out_of_range(limits, text):
    with pytest.raises(InputError, match=text):
        SanityLimits(**limits)
    with pytest.raises(InputError, match=text):
        sanity_reasons(Frames.from_atoms([]), **{'min_bond_fraction': 0.6, 'max_skew': 60.0, **limits})
