"""Energies, forces, stresses and descriptors of many structures by a MACE model, in batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress

from aiida_mlip_autopipe.common.frames import FloatArray, Frames, IntArray
from aiida_mlip_autopipe.engines.mace.model import MaceModel

EDGES: Final = {'cpu': 6_000, 'cuda': 2_000_000}
"""Pairs of neighbours in a batch: on the CPU what keeps its caches useful, on a GPU what a model of 128 channels holds in
about 40 GB; a batch that does not fit is halved."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of structures.

    :param energies: eV, shape (n_frames,).
    :param forces: eV/Å, shape (n_atoms, 3).
    :param stresses: eV/Å³, ASE's sign and Voigt order, shape (n_frames, 6).
    :param descriptors: rotation-invariant node features of all layers, shape (n_atoms, n_descriptors).
    """

    energies: FloatArray
    forces: FloatArray
    stresses: FloatArray
    descriptors: FloatArray

    @classmethod
    def concatenate(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the parts as one, in their order."""
        names = ('energies', 'forces', 'stresses', 'descriptors')
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True, eq=False)
class Graph:
    """The neighbours of the atoms of one structure.

    :param edges: sender and receiver, shape (2, n_edges).
    :param shifts: Å, shape (n_edges, 3); `unit_shifts`: the same in units of the cell.
    :param cell: Å, with long vectors along directions that are not periodic.
    """

    numbers: IntArray
    positions: FloatArray
    edges: IntArray
    shifts: FloatArray
    unit_shifts: FloatArray
    cell: FloatArray


def evaluate(model: MaceModel, structures: Frames | Sequence[Atoms], *, max_edges: int | None = None) -> Predictions:
    """Return what the model says of structures, those of like size in one batch.

    Each batch is one graph without links between structures; the model reads graphs of any size, so nothing is padded. On the
    CPU as many batches are evaluated at once as PyTorch may use threads, with one thread each.

    :param max_edges: pairs of neighbours in a batch; None for what suits the device.
    :raises UnknownElementError: an element that the model does not know.
    """
    frames = list(structures)
    model.require_elements(sorted({symbol for atoms in frames for symbol in atoms.symbols}))
    order = np.argsort([len(atoms) for atoms in frames], kind='stable')
    batches = _batches((_graph(frames[i], model.cutoff) for i in order), max_edges or EDGES[model.device])
    parts = _all_parts(model, batches)
    if not parts:
        return Predictions(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 6)), np.zeros((0, 0)))
    return _in_order(Predictions.concatenate(parts), order, np.array([len(atoms) for atoms in frames]))


def _all_parts(model: MaceModel, batches: Iterator[list[Graph]]) -> list[Predictions]:
    """Return the predictions of all batches, in their order; no more graphs are held than are evaluated at once."""
    import torch
    from mace.tools.torch_tools import default_dtype

    n_threads = torch.get_num_threads()  # what the user or the job allows
    n_workers = n_threads if model.device == 'cpu' else 1
    parts: list[Predictions] = []
    try:
        with default_dtype(model.dtype), ThreadPoolExecutor(n_workers, initializer=_use_one_thread) as pool:
            while wave := list(itertools.islice(batches, n_workers)):
                parts += pool.map(partial(_run, model), wave)
    finally:
        torch.set_num_threads(n_threads)
    return parts


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _graph(atoms: Atoms, cutoff: float) -> Graph:
    from mace.data.neighborhood import get_neighborhood

    edges, shifts, unit_shifts, cell = get_neighborhood(
        atoms.positions, cutoff, tuple(bool(p) for p in atoms.pbc), atoms.cell.array.copy()
    )
    return Graph(atoms.numbers, atoms.positions, edges, shifts, unit_shifts, cell)


def _batches(graphs: Iterator[Graph], max_edges: int) -> Iterator[list[Graph]]:
    """Yield runs of graphs with at most so many edges together, or a single larger one."""
    batch: list[Graph] = []
    n_edges = 0
    for graph in graphs:
        own = graph.edges.shape[1]
        if batch and n_edges + own > max_edges:
            yield batch
            batch, n_edges = [], 0
        batch.append(graph)
        n_edges += own
    if batch:
        yield batch


def _run(model: MaceModel, graphs: Sequence[Graph]) -> Predictions:
    """Return the predictions for one batch; in halves where the memory of the GPU is too small for it."""
    import torch

    try:
        return _forward(model, graphs)
    except torch.OutOfMemoryError:
        if len(graphs) == 1:
            raise
    torch.cuda.empty_cache()
    half = len(graphs) // 2
    return Predictions.concatenate([_run(model, graphs[:half]), _run(model, graphs[half:])])


def _forward(model: MaceModel, graphs: Sequence[Graph]) -> Predictions:
    found = model.network(_tensors(model, graphs), compute_force=True, compute_stress=True)
    stresses = _array(found['stress'])
    return Predictions(
        energies=_array(found['energy']),
        forces=_array(found['forces']),
        stresses=np.asarray(full_3x3_to_voigt_6_stress(stresses)).reshape(-1, 6),
        descriptors=_invariants(model, found['node_feats']),
    )


def _tensors(model: MaceModel, graphs: Sequence[Graph]) -> dict[str, Any]:
    """Return the batch as the model reads it."""
    import torch

    counts = [len(graph.numbers) for graph in graphs]
    starts = np.concatenate([[0], np.cumsum(counts)])
    known = model.network.atomic_numbers.cpu().numpy()
    kinds = np.argmax(np.concatenate([graph.numbers for graph in graphs])[:, None] == known, axis=1)
    real = {
        'positions': np.concatenate([graph.positions for graph in graphs]),
        'cell': np.concatenate([graph.cell for graph in graphs]),
        'shifts': np.concatenate([graph.shifts for graph in graphs]),
        'unit_shifts': np.concatenate([graph.unit_shifts for graph in graphs]),
        'node_attrs': np.eye(len(known))[kinds],
    }
    whole = {
        'edge_index': np.concatenate([graph.edges + start for graph, start in zip(graphs, starts, strict=False)], axis=1),
        'batch': np.repeat(np.arange(len(graphs)), counts),
        'ptr': starts,
        'head': np.full(len(graphs), len(getattr(model.network, 'heads', None) or ['Default']) - 1),
    }
    dtype = getattr(torch, model.dtype)
    tensors = {name: torch.as_tensor(values, dtype=dtype, device=model.device) for name, values in real.items()}
    tensors |= {name: torch.as_tensor(values, dtype=torch.int64, device=model.device) for name, values in whole.items()}
    return tensors


def _invariants(model: MaceModel, features: Any) -> FloatArray:
    """Return the invariant part of the node features: the first block of each layer, as MACE orders them."""
    from mace.modules.utils import extract_invariant

    irreps = model.network.products[0].linear.irreps_out
    channels = irreps.dim // (irreps.lmax + 1) ** 2
    n_layers = len(model.network.products)
    return _array(extract_invariant(features, num_layers=n_layers, num_features=channels, l_max=irreps.lmax))


def _array(tensor: Any) -> FloatArray:
    return np.asarray(tensor.detach().cpu().numpy(), dtype=np.float64)


def _in_order(found: Predictions, order: IntArray, counts: npt.NDArray[np.int64]) -> Predictions:
    """Return the predictions of structures that were evaluated in another order."""
    place = np.argsort(order)
    offsets = np.concatenate([[0], np.cumsum(counts[order])])
    rows = np.array(list(itertools.chain.from_iterable(range(offsets[i], offsets[i + 1]) for i in place)), dtype=np.int64)
    return Predictions(found.energies[place], found.forces[rows], found.stresses[place], found.descriptors[rows])
