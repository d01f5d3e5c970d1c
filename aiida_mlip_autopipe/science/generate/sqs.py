"""Special quasirandom structures: small periodic cells whose correlations come nearest to those of a random alloy."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from aiida_mlip_autopipe.common.composition import whole_counts
from aiida_mlip_autopipe.common.errors import EngineError, InputError
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text

CONFIG_TYPE = 'sqs'

_SHELL_MARGIN = 0.01
"""Å between a cutoff and the distance it must lie below or above; shells of a lattice are farther apart."""

_MAX_SEED = 2**31 - 1


def special_quasirandom_structures(
    parent: Atoms,
    composition: Mapping[str, float],
    *,
    count: int,
    steps: int,
    cutoffs: Sequence[float],
    rng: np.random.Generator,
) -> Iterator[Atoms]:
    """Yield occupations of the sites of `parent`, each from its own annealing run of icet.

    A pure element is yielded once, whatever `count` is. In a small cell two runs can find the same structure.

    :param parent: the lattice; its cell is kept, its elements are not read.
    :param composition: fraction of each element; must give whole numbers of atoms.
    :param count: number of structures.
    :param steps: Monte-Carlo steps of one run.
    :param cutoffs: Å, largest distance in a pair, a triplet, …; shortened where the cell is too small, see
        :func:`usable_cutoffs`.
    :raises InputError: the composition does not fit the cell, or a setting is out of range.
    :raises EngineError: icet is missing or failed.
    """
    counts = whole_counts(composition, len(parent))
    if count < 0 or steps < 1 or not cutoffs or min(cutoffs) <= 0:
        raise InputError(f'count >= 0, steps >= 1 and cutoffs > 0 Å are needed, got {count}, {steps} and {list(cutoffs)}')
    if len(counts) == 1:
        if count:
            numbers = Atoms(list(counts)).numbers.repeat(len(parent))
            yield fresh_atoms(parent, CONFIG_TYPE, _origin(counts), numbers=numbers)
        return
    shortened = usable_cutoffs(parent, cutoffs)
    space = _cluster_space(parent, shortened, sorted(counts))
    for seed in rng.integers(_MAX_SEED, size=count).tolist():
        numbers = _anneal(space, parent, counts, steps, seed)
        origin = _origin(counts, cutoffs=[round(c, 4) for c in shortened], steps=steps, seed=seed)
        yield fresh_atoms(parent, CONFIG_TYPE, origin, numbers=numbers)


def usable_cutoffs(parent: Atoms, cutoffs: Sequence[float]) -> list[float]:
    """Return the cutoffs, shortened to the clusters whose occupation the cell can vary.

    icet accepts any cutoff, but a pair as long as the shortest lattice vector of the supercell joins a site to its own
    image: it is always alike, and longer pairs repeat shorter ones, which only changes their weights. Each cutoff therefore
    ends below the shortest lattice vector, and at the first shell of neighbours at the least.

    :param parent: the supercell.
    :param cutoffs: Å, for pairs, triplets, ….
    :return: Å, as many as given.
    """
    reduced, _ = minkowski_reduce(parent.cell.array)
    self_image = float(np.linalg.norm(reduced, axis=1).min())
    first_shell = _shortest_distance(parent, self_image)
    longest = max(self_image - _SHELL_MARGIN, first_shell + _SHELL_MARGIN)
    return [min(float(cutoff), longest) for cutoff in cutoffs]


def _shortest_distance(atoms: Atoms, self_image: float) -> float:
    if len(atoms) == 1:
        return self_image
    distances = atoms.get_all_distances(mic=True)
    return min(self_image, float(distances[np.triu_indices(len(atoms), k=1)].min()))


def _cluster_space(parent: Atoms, cutoffs: list[float], elements: list[str]) -> Any:
    try:
        from icet import ClusterSpace  # noqa: PLC0415  # icet takes seconds to import
    except ImportError as error:
        raise EngineError(f'icet cannot be imported ({error}); install it with: pip install "icet>=4.0"') from error
    uniform = Atoms(numbers=np.ones(len(parent), dtype=int), positions=parent.positions, cell=parent.cell, pbc=True)
    try:
        return ClusterSpace(uniform, cutoffs, elements)
    except (ValueError, RuntimeError) as error:
        raise EngineError(f'icet refused a lattice of {len(parent)} sites with cutoffs {cutoffs} Å: {error}') from error


def _anneal(space: Any, parent: Atoms, counts: Mapping[str, int], steps: int, seed: int) -> np.ndarray[Any, Any]:
    from icet.tools.structure_generation import generate_sqs_from_supercells  # noqa: PLC0415  # the same

    uniform = Atoms(numbers=np.ones(len(parent), dtype=int), positions=parent.positions, cell=parent.cell, pbc=True)
    target = {element: number / len(parent) for element, number in counts.items()}
    try:
        with _python_random_kept():
            found = generate_sqs_from_supercells(space, [uniform], target, n_steps=steps, random_seed=seed)
    except (ValueError, RuntimeError) as error:
        raise EngineError(f'icet failed on {dict(counts)} with seed {seed}: {error}') from error
    if not np.allclose(found.positions, parent.positions, atol=1e-6):
        raise EngineError(f'icet moved the sites of the lattice of {len(parent)} sites')
    return np.asarray(found.numbers)


@contextmanager
def _python_random_kept() -> Iterator[None]:
    """Give back the state of Python's global generator, which icet seeds."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _origin(counts: Mapping[str, int], **parameters: Any) -> str:
    return origin_text('sqs', counts=dict(counts), **parameters)
