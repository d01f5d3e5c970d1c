"""Empty sites of a crystal: Voronoi vertices and faces, one for each set that its symmetry makes equal."""

from __future__ import annotations

import itertools

import numpy as np
import spglib
from ase import Atoms
from ase.geometry import find_mic
from scipy.spatial import Voronoi, cKDTree

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import FloatArray, IntArray

MERGE = 0.05
"""Å, vertices nearer than this are one site; a symmetric crystal has several on each other but for rounding."""

SYMMETRY_TOLERANCE = 1e-3
"""Å, by which positions may miss a symmetry."""

FIRST_REACH = 2.5
"""Distance up to which images of the atoms are looked at first, in units of the cube root of the volume per atom."""

NEAREST = 1.02
"""Atoms up to this multiple of the shortest distance are nearest neighbours."""


def interstitial_sites(atoms: Atoms, min_distance: float) -> FloatArray:
    """Return the empty sites of a periodic crystal that are distinct by symmetry, widest first, Å, shape (n_sites, 3).

    :param min_distance: Å, smallest distance of a site to an atom.
    :raises EngineError: spglib finds no symmetry.
    """
    return np.asarray(_distinct(atoms, _empty_sites(atoms, min_distance)) @ atoms.cell.array)


def every_interstitial_site(atoms: Atoms, min_distance: float) -> FloatArray:
    """Return all empty sites of the cell of a periodic crystal, widest first, Å, shape (n_sites, 3).

    :param min_distance: Å, smallest distance of a site to an atom.
    """
    scaled = _empty_sites(atoms, min_distance)
    kept: list[FloatArray] = []
    for site in scaled:
        if not kept or _lengths(np.array(kept) - site, atoms.cell.array).min() > MERGE:
            kept.append(site)
    return np.array(kept).reshape(-1, 3) @ atoms.cell.array


def drawn_apart(atoms: Atoms, sites: FloatArray, wanted: int, distance: float, rng: np.random.Generator) -> IntArray | None:
    """Return the indices of sites drawn at random, no two nearer than a distance, or None where so many do not fit.

    They are taken in random order as they fit, so that a lattice of sites that could be filled more densely may be refused.

    :param sites: Å, in the cell of `atoms`, shape (n_sites, 3).
    :param distance: Å, between images of two sites too.
    """
    chosen: list[int] = []
    for index in rng.permutation(len(sites)).tolist():
        if not chosen or find_mic(sites[chosen] - sites[index], atoms.cell)[1].min() >= distance:
            chosen.append(index)
        if len(chosen) == wanted:
            return np.array(chosen)
    return None


def _lengths(differences: FloatArray, cell: FloatArray) -> FloatArray:
    """Return the lengths of scaled differences, the nearest image along each lattice vector, Å: right where they are near 0."""
    return np.asarray(np.linalg.norm((differences - np.rint(differences)) @ cell, axis=-1))


def _empty_sites(atoms: Atoms, min_distance: float) -> FloatArray:
    """Return the scaled empty sites of the cell, some of them several times, widest first, shape (n, 3).

    They are the vertices of the Voronoi cells, as far as can be from the atoms around them, and the middles of those faces
    that do not lie between nearest neighbours: the octahedral site of bcc is such a middle. In fcc and hcp the octahedral
    and the tetrahedral site remain, in bcc the tetrahedral and the octahedral one.
    """
    points, diagram, vertices = _diagram(atoms)
    sites = np.concatenate([vertices, _middles(points, diagram, len(atoms))])
    gaps = np.asarray(cKDTree(points).query(sites)[0])
    wide = gaps >= min_distance
    order = np.argsort(-np.round(gaps[wide], 3), kind='stable')
    return np.asarray(np.linalg.solve(atoms.cell.array.T, sites[wide][order].T).T % 1.0)


def _diagram(atoms: Atoms) -> tuple[FloatArray, Voronoi, FloatArray]:
    """Return atoms and images, those of the cell first, their Voronoi diagram, and the vertices around those of the cell, Å.

    A vertex is as far from the atoms around it as its gap R, so that no atom farther than 2 R from the cell has a say. Images
    are taken up to a reach that turns out to be as long.
    """
    reach = FIRST_REACH * (atoms.cell.volume / len(atoms)) ** (1 / 3)
    while True:
        points = _image_points(atoms, reach)
        diagram = Voronoi(points)
        own = {vertex for index in range(len(atoms)) for vertex in diagram.regions[diagram.point_region[index]]}
        vertices = diagram.vertices[sorted(own - {-1})]
        if -1 not in own and 2.0 * np.max(cKDTree(points).query(vertices)[0]) <= reach:
            return points, diagram, vertices
        reach *= 1.5


def _image_points(atoms: Atoms, reach: float) -> FloatArray:
    """Return the atoms of the cell, then their images up to a distance from its faces, Å."""
    cell = atoms.cell.array
    heights = abs(np.linalg.det(cell)) / np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    margins = reach / heights
    ranges = (range(-number, number + 1) for number in np.ceil(margins).astype(int).tolist())
    steps = np.array(sorted(itertools.product(*ranges), key=lambda step: step != (0, 0, 0)))
    scaled = (atoms.get_scaled_positions(wrap=True)[None] + steps[:, None]).reshape(-1, 3)
    near = ((scaled > -margins) & (scaled < 1.0 + margins)).all(axis=1)
    return np.asarray(scaled[near] @ cell)


def _middles(points: FloatArray, diagram: Voronoi, n_atoms: int) -> FloatArray:
    """Return the middles of the faces between far neighbours that no third atom is nearer to, Å, shape (n, 3)."""
    pairs = diagram.ridge_points[(diagram.ridge_points < n_atoms).any(axis=1)]
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    far = lengths > NEAREST * lengths.min()
    middles = points[pairs[far]].mean(axis=1)
    alone = cKDTree(points).query(middles)[0] > 0.5 * lengths[far] - 1e-6
    return np.asarray(middles[alone])


def _distinct(atoms: Atoms, scaled: FloatArray) -> FloatArray:
    """Return the scaled sites of which no symmetry of the crystal makes an earlier one, shape (n, 3)."""
    symmetry = spglib.get_symmetry((atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers), symprec=SYMMETRY_TOLERANCE)
    if symmetry is None:
        raise EngineError(f'spglib finds no symmetry of {atoms.symbols}')
    kept: list[FloatArray] = []
    taken = np.zeros(len(scaled), dtype=bool)
    for index, site in enumerate(scaled):
        if taken[index]:
            continue
        kept.append(site)
        images = symmetry['rotations'] @ site + symmetry['translations']
        for image in np.unique(np.round(images % 1.0, 5), axis=0):
            taken |= _lengths(scaled - image, atoms.cell.array) < MERGE
    return np.array(kept).reshape(-1, 3)
