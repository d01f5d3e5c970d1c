"""Isolated atoms: one of each element, centred in its box."""

from __future__ import annotations

import json

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM, Frames, uid_of
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms


def test_order_box_and_metadata():
    structures = isolated_atoms(['Mg', 'Al'], 15.0)
    assert [a.get_chemical_formula() for a in structures] == ['Mg', 'Al']
    for atoms in structures:
        np.testing.assert_allclose(atoms.cell.array, 15.0 * np.eye(3))
        np.testing.assert_allclose(atoms.positions, [[7.5, 7.5, 7.5]])
        assert atoms.pbc.all()
        assert atoms.info['config_type'] == ISOLATED_ATOM
        assert atoms.info['uid'] == atoms.info['lineage'] == uid_of(atoms)
        assert atoms.info['parent'] == ''
        assert json.loads(atoms.info['origin']) == {'box': 15.0, 'strategy': 'isolated_atom'}


def test_they_make_frames():
    frames = Frames.from_atoms(isolated_atoms(['Mg', 'Al'], 12))
    assert frames.elements == ['Mg', 'Al']
    assert frames.lineage.tolist() == frames.uid.tolist()


def test_no_elements_no_atoms():
    assert isolated_atoms([], 12.0) == []


@pytest.mark.parametrize(
    ('elements', 'box', 'text'),
    [(['Al'], 0.0, 'above 0 Å, got 0.0'), (['Qq'], 12.0, "'Qq'"), (['X'], 12.0, "'X'"), (['Al', 'Al'], 12.0, 'needs one')],
)
def test_refusals(elements, box, text):
    with pytest.raises(InputError, match=text):
        isolated_atoms(elements, box)
