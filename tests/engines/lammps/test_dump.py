import io

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lammps import Prism
from ase.io.lammpsrun import read_lammps_dump_text

from aiida_mlip_autopipe.common.errors import FormatError
from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.engines.lammps.dump import read_dump, structure_of
from tests.lammps_pace_data import aluminium, recorded

STEPS = [950, 1030, 1120, 1210, 1220]
DIGITS = 1e-9
"""Å; dumps of our inputs have 12 digits."""


def dump_of(atoms, step=0, grades=None, *, shift=0.0, order=None):
    """Return the dump that LAMMPS writes for a structure, 12 digits, with its lower corner at `shift`."""
    prism = Prism(atoms.cell.array, pbc=True)
    lx, ly, lz, xy, xz, yz = prism.get_lammps_prism()
    places = prism.vector_to_lammps(atoms.positions) + shift
    bounds = [
        (shift + min(0.0, xy, xz, xy + xz), shift + lx + max(0.0, xy, xz, xy + xz), xy),
        (shift + min(0.0, yz), shift + ly + max(0.0, yz), xz),
        (shift, shift + lz, yz),
    ]
    grades = np.ones(len(atoms)) if grades is None else grades
    kinds = {symbol: index for index, symbol in enumerate(('Cu', 'Al'), start=1)}
    rows = [
        f'{index + 1} {kinds[atoms.symbols[index]]} {x:.12g} {y:.12g} {z:.12g} {grades[index]:.12g}'
        for index, (x, y, z) in enumerate(places)
    ]
    return '\n'.join(
        [
            'ITEM: TIMESTEP',
            str(step),
            'ITEM: NUMBER OF ATOMS',
            str(len(atoms)),
            'ITEM: BOX BOUNDS xy xz yz pp pp pp',
            *(f'{low:.16e} {high:.16e} {tilt:.16e}' for low, high, tilt in bounds),
            'ITEM: ATOMS id type x y z f_gam',
            *(rows[index] for index in (order if order is not None else range(len(atoms)))),
            '',
        ]
    )


@pytest.fixture
def alloy():
    """A rotated, tilted Al-Cu cell with its atoms inside."""
    rng = np.random.default_rng(0)
    atoms = bulk('Al', cubic=True, a=4.0) * (2, 1, 1)
    atoms.symbols[rng.permutation(8)[:3]] = 'Cu'
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.2, 0.2, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(0, 0.05, atoms.positions.shape)
    atoms.wrap()
    return atoms


def test_the_recorded_frames():
    frames = read_dump(recorded('hot.dump'), 10)
    assert [frame.step for frame in frames] == STEPS
    assert all(frame.columns == ('id', 'type', 'x', 'y', 'z', 'fx', 'fy', 'fz', 'f_gam') for frame in frames)
    assert all(frame.values.shape == (108, 9) for frame in frames)
    assert frames[0].positions[0].tolist() == [12.0494, -0.0675304, 12.0369]
    assert set(frames[0].types.tolist()) == {1}


def test_the_grades_are_those_of_the_thermodynamic_output():
    frames = read_dump(recorded('hot.dump'), 10)
    assert [frame.column('f_gam').max() for frame in frames][-2:] == [24.4343, 27.1096]


def test_frames_equal_those_that_ase_reads():
    reference = read_lammps_dump_text(io.StringIO(recorded('hot.dump')), index=slice(None))
    for frame, atoms in zip(read_dump(recorded('hot.dump'), 10), reference, strict=True):
        np.testing.assert_allclose(frame.cell, atoms.cell.array, atol=DIGITS)
        np.testing.assert_allclose(frame.positions, atoms.positions, atol=DIGITS)
        np.testing.assert_array_equal(frame.column('f_gam'), atoms.arrays['f_gam'])


@pytest.mark.parametrize(('every', 'steps'), [(20, [1120, 1220]), (50, [950]), (7, [1120]), (1000, [])])
def test_frames_between_two_checks_are_not_read(every, steps):
    assert [frame.step for frame in read_dump(recorded('hot.dump'), every)] == steps


def test_a_frame_that_was_cut_short_is_left_out():
    assert [frame.step for frame in read_dump(recorded('killed.dump'), 10)] == STEPS[:1]


@pytest.mark.parametrize('keep', [0.0, 0.05, 0.3, 0.9, 1.0])
def test_a_dump_that_ends_anywhere_is_read_as_far_as_it_goes(alloy, keep):
    whole = dump_of(alloy, 0)
    second = dump_of(alloy, 10)
    frames = read_dump(whole + second[: int(keep * len(second))], 10)
    assert [frame.step for frame in frames] == ([0, 10] if keep == 1.0 else [0])


def test_a_step_that_was_written_twice_counts_once():
    text = recorded('hot.dump')
    assert len(read_dump(text + text, 10)) == len(STEPS)


def test_an_empty_dump_has_no_frames():
    assert read_dump('', 10) == []


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('ITEM: TIMESTEP', '# nothing', 'begins with "ITEM:", found'),
        ('\n8\n', '\neight\n', 'at step 0 cannot be read'),
        ('id type x', 'type x', 'do not fit or lack the id'),
        ('ITEM: ATOMS id', 'ITEM: ATOMS mol id', 'do not fit or lack the id'),
    ],
)
def test_text_that_is_no_such_dump_is_refused(alloy, old, new, message):
    with pytest.raises(FormatError, match=message):
        read_dump(dump_of(alloy).replace(old, new, 1), 10)


def test_a_missing_column_is_named_with_those_that_exist(alloy):
    with pytest.raises(FormatError, match='no column f_gamma; it has id, type, x, y, z, f_gam'):
        read_dump(dump_of(alloy), 10)[0].column('f_gamma')


class TestStructure:
    def test_the_start_itself(self):
        start = aluminium()
        found = structure_of(read_dump(recorded('hot.dump'), 10)[0], start, ['Al'])
        assert found.get_chemical_symbols() == start.get_chemical_symbols()
        assert found.pbc.all()
        assert found.cell.volume == pytest.approx((12.190259935187139 + 0.20825993518713659) ** 3)

    def test_rotated_and_tilted_cells_come_back_in_their_own_orientation(self, alloy):
        found = structure_of(read_dump(dump_of(alloy), 10)[0], alloy, ['Cu', 'Al'])
        np.testing.assert_allclose(found.cell.array, alloy.cell.array, atol=DIGITS)
        np.testing.assert_allclose(found.positions, alloy.positions, atol=DIGITS)
        assert uid_of(found) == uid_of(alloy)

    def test_neither_the_corner_of_the_box_nor_the_order_of_the_atoms_matters(self, alloy):
        order = np.random.default_rng(1).permutation(len(alloy))
        grades = np.arange(8.0)
        frame = read_dump(dump_of(alloy, 0, grades, shift=-0.7, order=order), 10)[0]
        found = structure_of(frame, alloy, ['Cu', 'Al'])
        np.testing.assert_allclose(found.positions, alloy.positions, atol=DIGITS)
        np.testing.assert_array_equal(frame.column('f_gam'), grades)

    def test_atoms_outside_of_the_cell_are_wrapped(self, alloy):
        moved = alloy.copy()
        moved.positions += alloy.cell.array.sum(axis=0)
        found = structure_of(read_dump(dump_of(moved), 10)[0], alloy, ['Cu', 'Al'])
        np.testing.assert_allclose(found.positions, alloy.positions, atol=1e-8)

    def test_other_atoms_than_those_of_the_start_are_refused(self, alloy):
        other = alloy.copy()
        other.symbols[:] = 'Al'
        with pytest.raises(FormatError, match='step 20 has other atoms than the start structure Al8'):
            structure_of(read_dump(dump_of(alloy, 20), 10)[0], other, ['Cu', 'Al'])

    def test_more_types_than_elements_are_refused(self, alloy):
        with pytest.raises(FormatError, match='atom types 1 to 2, the potential has 1 elements'):
            structure_of(read_dump(dump_of(alloy), 10)[0], alloy, ['Cu'])
