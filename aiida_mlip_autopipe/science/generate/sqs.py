"""Special quasirandom structures: small periodic cells whose correlations come nearest to those of a random alloy."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Final, Literal

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.geometry import minkowski_reduce
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from aiida_mlip_autopipe.common.composition import whole_counts
from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import IntArray
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text
from aiida_mlip_autopipe.science.generate.strategy import Kind, Slot, Strategy

CONFIG_TYPE = 'sqs'

ICET: Final = 'icet'
SHUFFLE: Final = 'shuffle'

ICETS_WEIGHT = 1.0
"""Default of icet."""

_SHELL_MARGIN = 0.01
"""Å between a cutoff and the distance it must lie below or above; shells of a lattice are farther apart."""

_MAX_SEED = 2**31 - 1


class SQS(Strategy):
    """Quasirandom occupations of a lattice, each from its own annealing run of icet, or shuffled ones where icet is missing.

    A lattice whose sublattices have one element each is yielded once, whatever `per_composition` is. In a small cell two runs
    can find the same structure.
    """

    KIND: ClassVar[Kind] = Kind.LATTICE
    CONFIG_TYPES = frozenset({CONFIG_TYPE})
    IS_DEFAULT = True
    ORDER = 0

    per_composition: NonNegativeInt = Field(default=2, description='structures for each composition and supercell')
    steps: PositiveInt = Field(default=2000, description='Monte Carlo steps for each structure')
    cutoffs: tuple[PositiveFloat, ...] = Field(
        default=(5.0,),
        min_length=1,
        description='Å, cluster radii: pairs first, then triplets, …; shortened where the cell is too small',
    )
    method: Literal['icet', 'shuffle'] = Field(default=ICET, description='shuffle: the random solution, without annealing')
    optimality_weight: NonNegativeFloat = Field(
        default=ICETS_WEIGHT,
        description='1/Å, what icet gives for exact matches of the first shells; 0 is often nearer to random in small cells',
    )
    random: NonNegativeInt = Field(
        default=0, description='random solutions beside the quasirandom ones, for each composition and supercell'
    )

    @property
    def is_used(self) -> bool:
        """Whether it makes anything."""
        return bool(self.per_composition or self.random)

    def at_least(self, n_parents: int) -> int:
        """Return one for each slot: those of a pure crystal are all alike."""
        return n_parents

    def compositions(self, counts: Counter[str]) -> list[Counter[str]]:
        """Return the composition of the parent, which stays."""
        return [counts]

    def __call__(self, slot: Slot, rng: np.random.Generator) -> Iterator[Atoms]:
        """Yield occupations of the sites of a slot.

        :param slot: the lattice, whose cell is kept; its fractions must give whole numbers of atoms on each sublattice.
        :raises InputError: the fractions do not fit the cell.
        :raises EngineError: icet failed.
        """
        counts = slot_counts(slot)
        if all(len(part) == 1 for part in counts):
            if self.per_composition or self.random:
                yield fresh_atoms(slot.lattice, CONFIG_TYPE, _origin(counts), numbers=shuffled(slot, counts, rng))
            return
        seeds = rng.integers(_MAX_SEED, size=self.per_composition + self.random).tolist()
        missing = _import_failure() if self.method == ICET else ''
        if missing or self.method == SHUFFLE:
            yield from self._shuffled(slot, seeds, {'because': missing} if missing else {})
        else:
            yield from self._measured(slot, seeds)

    def _shuffled(self, slot: Slot, seeds: Sequence[int], why: Mapping[str, str]) -> Iterator[Atoms]:
        counts = slot_counts(slot)
        for seed in seeds:
            numbers = shuffled(slot, counts, np.random.default_rng(seed))
            yield fresh_atoms(slot.lattice, CONFIG_TYPE, _origin(counts, method=SHUFFLE, seed=seed, **why), numbers=numbers)

    def _measured(self, slot: Slot, seeds: Sequence[int]) -> Iterator[Atoms]:
        """Yield annealed and shuffled occupations that tell their distance from the random alloy."""
        counts = slot_counts(slot)
        shortened = usable_cutoffs(slot.lattice, self.cutoffs)
        space = _cluster_space(slot, shortened, counts)
        targets = _targets(space, counts)
        for index, seed in enumerate(seeds):
            annealed = index < self.per_composition
            how: dict[str, Any] = {'method': ICET, 'steps': self.steps, **self._weight} if annealed else {'method': SHUFFLE}
            if annealed:
                numbers = self._anneal(space, slot, targets, seed)
            else:
                numbers = shuffled(slot, counts, np.random.default_rng(seed))
            made = fresh_atoms(slot.lattice, CONFIG_TYPE, '', numbers=numbers)
            how['distance'] = round(cluster_vector_distance(space, made, targets), 6)
            origin = _origin(counts, cutoffs=[round(c, 4) for c in shortened], seed=seed, **how)
            yield fresh_atoms(made, CONFIG_TYPE, origin)

    @property
    def _weight(self) -> dict[str, float]:
        """What is told of the weight: nothing where it is icet's."""
        return {} if self.optimality_weight == ICETS_WEIGHT else {'optimality_weight': self.optimality_weight}

    def _anneal(self, space: Any, slot: Slot, targets: Mapping[str, Mapping[str, float]], seed: int) -> IntArray:
        """Return the atomic numbers that a run of icet finds, shape (n_sites,)."""
        from icet.tools.structure_generation import generate_sqs_from_supercells  # noqa: PLC0415  # seconds to import

        options = {'n_steps': self.steps, 'random_seed': seed, 'optimality_weight': self.optimality_weight}
        try:
            with _python_random_kept():
                found = generate_sqs_from_supercells(space, [_sites(slot)], dict(targets), **options)
        except (ValueError, RuntimeError) as error:
            raise EngineError(f'icet failed on {dict(targets)} with seed {seed}: {error}') from error
        if not np.allclose(found.positions, slot.lattice.positions, atol=1e-6):
            raise EngineError(f'icet moved the sites of the lattice of {len(slot.lattice)} sites')
        return np.asarray(found.numbers)


def slot_counts(slot: Slot) -> list[dict[str, int]]:
    """Return the number of atoms of each element on each sublattice.

    :raises InputError: the fractions do not give whole numbers; the text proposes those that do.
    """
    return [whole_counts(part, int((slot.sublattices == index).sum())) for index, part in enumerate(slot.occupation)]


def shuffled(slot: Slot, counts: Sequence[Mapping[str, int]], rng: np.random.Generator) -> IntArray:
    """Return atomic numbers of the sites of a slot, each sublattice at random, shape (n_sites,)."""
    numbers = np.zeros(len(slot.lattice), dtype=np.int64)
    for index, part in enumerate(counts):
        elements = [atomic_numbers[element] for element, count in part.items() for _ in range(count)]
        numbers[slot.sublattices == index] = rng.permutation(elements) if len(part) > 1 else elements
    return numbers


def cluster_vector_distance(space: Any, atoms: Atoms, targets: Mapping[str, Mapping[str, float]]) -> float:
    """Return the Euclidean distance of a cluster vector from that of the endless random alloy, dimensionless.

    :param space: icet's cluster space.
    :param targets: fractions of the elements on each of icet's sublattices.
    """
    from icet.tools.structure_generation import _get_sqs_cluster_vector  # noqa: PLC0415  # icet has no public way to ask

    return float(np.linalg.norm(space.get_cluster_vector(atoms) - _get_sqs_cluster_vector(space, dict(targets))))


def told_distances(origins: Iterable[str]) -> list[float]:
    """Return the distances from the random alloy that the origins of annealed structures tell, smallest first.

    :param origins: as of :func:`origin_text`, of any strategy.
    """
    told = [json.loads(origin) for origin in origins if origin]
    return sorted(float(parameters['distance']) for parameters in told if parameters.get('method') == ICET)


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


def _import_failure() -> str:
    """Return why icet cannot be used here, or ''."""
    try:
        import icet  # noqa: F401, PLC0415  # icet takes seconds to import
    except ImportError as error:
        return f'icet cannot be imported ({error}); install it with: pip install "icet>=4.0"'
    return ''


def _sites(slot: Slot) -> Atoms:
    numbers = np.ones(len(slot.lattice), dtype=int)
    return Atoms(numbers=numbers, positions=slot.lattice.positions, cell=slot.lattice.cell, pbc=True)


def _cluster_space(slot: Slot, cutoffs: list[float], counts: Sequence[Mapping[str, int]]) -> Any:
    from icet import ClusterSpace  # noqa: PLC0415  # the same

    allowed: Any = [sorted(counts[index]) for index in slot.sublattices]
    try:
        return ClusterSpace(_sites(slot), cutoffs, allowed if len(counts) > 1 else allowed[0])
    except (ValueError, RuntimeError) as error:
        raise EngineError(f'icet refused a lattice of {len(allowed)} sites with cutoffs {cutoffs} Å: {error}') from error


def _targets(space: Any, counts: Sequence[Mapping[str, int]]) -> dict[str, dict[str, float]]:
    """Return the fractions on the sublattices that vary, by icet's letters for them."""
    by_elements = {tuple(sorted(part)): part for part in counts}
    letters = {
        sublattice.symbol: by_elements[tuple(sorted(sublattice.chemical_symbols))]
        for sublattice in space.get_sublattices(space.primitive_structure)
        if len(sublattice.chemical_symbols) > 1
    }
    return {letter: {e: n / sum(part.values()) for e, n in part.items()} for letter, part in letters.items()}


@contextmanager
def _python_random_kept() -> Iterator[None]:
    """Give back the state of Python's global generator, which icet seeds."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _origin(counts: Sequence[Mapping[str, int]], **parameters: Any) -> str:
    told = dict(counts[0]) if len(counts) == 1 else [dict(part) for part in counts]
    return origin_text('sqs', counts=told, **parameters)
