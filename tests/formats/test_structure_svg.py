"""Pictures of structures: well-formed, complete, nothing outside the frame."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from aiida_mlip_autopipe.formats.structure_svg import Mark, picture, projected

SPACE = '{http://www.w3.org/2000/svg}'


def circles(atoms: Atoms, *marks: Mark) -> list[ET.Element]:
    return ET.fromstring(picture(atoms, 'name', marks)).findall(f'{SPACE}circle')


def test_atoms_on_faces_are_drawn_on_both() -> None:
    counts = Counter(circle.get('fill') for circle in circles(bulk('Al', cubic=True)))
    assert counts == {'url(#z13)': 14}  # the face-centred cube of the textbook: 8 corners, 6 faces


def test_an_atom_inside_is_drawn_once_and_a_cell_has_twelve_edges() -> None:
    atoms = Atoms('Cu', positions=[[2, 2, 2]], cell=[4, 4, 4], pbc=True)
    root = ET.fromstring(picture(atoms, 'name'))
    assert len(root.findall(f'{SPACE}circle')) == 1
    assert len(root.findall(f'{SPACE}path')) == 12 * 12


@pytest.mark.parametrize('name', ['fcc', 'bcc'])
def test_nothing_is_outside_the_frame(name: str) -> None:
    atoms = bulk('Fe', name, a=3.0).repeat((2, 3, 1))
    x, y, width, height = map(float, str(ET.fromstring(picture(atoms, 'name')).get('viewBox')).split())
    for circle in circles(atoms):
        cx, cy, r = (float(str(circle.get(key))) for key in ('cx', 'cy', 'r'))
        assert x <= cx - r <= cx + r <= x + width
        assert y <= cy - r <= cy + r <= y + height


def test_what_is_near_is_drawn_last() -> None:
    atoms = Atoms('CuAu', positions=[[2, 1, 2], [2, 3, 2]], cell=[4, 4, 4], pbc=True)  # the viewer is at negative y
    assert [circle.get('fill') for circle in circles(atoms)] == ['url(#z79)', 'url(#z29)']


def test_marks_are_rings_on_top() -> None:
    *_, here, empty = circles(bulk('Al'), Mark((0.0, 0.0, 0.0)), Mark((1.0, 0.0, 0.0), is_empty=True))
    assert (here.get('class'), empty.get('class')) == ('here', 'empty')


def test_the_view_keeps_lengths() -> None:
    points = np.random.default_rng(0).normal(size=(5, 3))
    np.testing.assert_allclose(np.linalg.norm(projected(points), axis=1), np.linalg.norm(points, axis=1))
    assert projected(np.array([[0.0, 0.0, 1.0]]))[0, 1] > 0.9  # z points upwards
