"""Stage select (`mlip-worker select`): which frames are worth a label, and why the others are not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.lammps.descriptors import atom_rows
from aiida_mlip_autopipe.engines.lammps.isolated import isolated
from aiida_mlip_autopipe.engines.mace.mace import evaluate
from aiida_mlip_autopipe.engines.mace.model import MaceModel
from aiida_mlip_autopipe.engines.mace.reduce import largest_force, per_structure
from aiida_mlip_autopipe.formats.files import MODEL, POTENTIAL, arrays_file
from aiida_mlip_autopipe.remote.inputs import checked, load_plugin, read_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, read_potential
from aiida_mlip_autopipe.remote.pre_explore import with_walks
from aiida_mlip_autopipe.remote.surrogate_model import Surrogate, find_surrogate
from aiida_mlip_autopipe.science.selection.funnel import (
    AtomSelector,
    FunnelLimits,
    Screen,
    Screened,
    Selection,
    Selector,
    reduced_formulas,
    select,
)
from aiida_mlip_autopipe.science.selection.quotas import Quotas, whole_numbers
from aiida_mlip_autopipe.science.selection.sanity import SanityLimits
from aiida_mlip_autopipe.science.selection.window import Window

DESCRIPTORS = 'mlip_autopipe.descriptors'
SELECTORS = 'mlip_autopipe.selectors'
ATOM_SELECTORS = 'mlip_autopipe.atom_selectors'


def run(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Write the selection and return the funnel with its numbers."""
    config = checked(SelectionConfig, _with_model(settings['settings'], folder))
    selector = config.selector_where(has_potential=(folder / POTENTIAL).exists())
    pick = _selector(selector, folder)
    frames = read_frames(folder, 'frames')
    known = read_frames(folder, 'known') if (folder / arrays_file('known')).exists() else None
    elements = sorted({*frames.elements, *(known.elements if known else ())})
    surrogate = find_surrogate(config, folder)
    if surrogate.model is not None:
        surrogate.model.require_elements(elements)
    n_given = len(frames)
    rng = np.random.default_rng(settings['seed'])
    if surrogate.model is not None and config.pre_explore.kind != 'none':
        frames = with_walks(frames, surrogate.model, config, rng)
        frames.save(folder / arrays_file('pool'))
    selection = select(
        frames,
        known=known,
        screen=_screen(config, surrogate.model, elements),
        pick=pick,
        limits=_limits(config, settings['budget']),
        rng=rng,
    )
    with (folder / arrays_file('selection')).open('wb') as handle:
        np.savez(handle, indices=selection.indices, reasons=np.array(selection.reasons, dtype=np.str_))
    return {
        **_counts(selection, frames),
        'budget': settings['budget'],
        'n_walked': len(frames) - n_given,
        'n_known': len(known) if known is not None else 0,
        'lineages_selected': len(set(frames.lineage[selection.indices].tolist())),
        'selector': selector,
        'surrogate': _said_of(surrogate, config),
        'notes': _notes(config, selection, frames, settings['budget'], surrogate),
    }


def _selector(name: str, folder: Path) -> Selector | AtomSelector:
    """Return what picks; one that looks at atoms sees them through the potential that came with the job.

    :raises InputError: there is no such selector, or it needs a potential and there is none.
    """
    if name not in {point.name for point in metadata.entry_points(group=ATOM_SELECTORS)}:
        return load_plugin(SELECTORS, name)
    pick = load_plugin(ATOM_SELECTORS, name)
    if not (folder / POTENTIAL).exists():
        raise InputError(f'select.selector: got {name!r}, which looks at the descriptors of a potential, and there is none yet')
    potential, files = read_potential(folder), potential_folder(folder)
    training = read_frames(folder, 'train') if (folder / arrays_file('train')).exists() else None
    return AtomSelector(pick, lambda frames: isolated(partial(atom_rows, frames, potential, files), files), training)


def _with_model(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings with the model whose file came with the job, where they name none."""
    has_file = (folder / MODEL).exists() and values.get('model') is None
    return {**values, 'model': MODEL} if has_file else values


def _screen(config: SelectionConfig, model: MaceModel | None, elements: Sequence[str]) -> Screen:
    """Return what looks at frames: the model, or the descriptor where there is none."""

    def by_model(frames: Frames) -> Screened:
        found = evaluate(model, frames, max_edges=config.batch_edges) if model else None
        if found is None:
            return Screened(describe(frames, elements=elements, cutoff=config.descriptor_cutoff))
        features = per_structure(found.descriptors, frames, elements, config.reduction)
        return Screened(features, found.energies, largest_force(found.forces, frames))

    describe = load_plugin(DESCRIPTORS, config.descriptor)
    return by_model


def _limits(config: SelectionConfig, budget: int) -> FunnelLimits:
    return FunnelLimits(
        budget=budget,
        sanity=SanityLimits(min_bond_fraction=config.min_bond_fraction, max_skew=config.max_skew),
        duplicate_tolerance=config.duplicate_tolerance,
        window=Window(force_cap=config.force_cap, energy=config.energy_window, volume=config.volume_window),
        quotas=Quotas(config.quotas.config_type, config.quotas.composition),
        first=frozenset(config.first),
    )


def _counts(selection: Selection, frames: Frames) -> dict[str, Any]:
    by_type: dict[str, Counter[str]] = {}
    for config_type, reason in zip(frames.config_type.tolist(), selection.reasons, strict=True):
        by_type.setdefault(config_type, Counter()).update([reason] if reason else [])
    return {
        'counts': selection.counts,
        'by_config_type': selection.by_config_type,
        'reasons': dict(Counter(reason for reason in selection.reasons if reason)),
        'reasons_by_config_type': {name: dict(counter) for name, counter in sorted(by_type.items())},
    }


def _said_of(surrogate: Surrogate, config: SelectionConfig) -> dict[str, Any]:
    model = surrogate.model
    if model is None:
        return {'kind': 'descriptor', 'name': config.descriptor, 'note': surrogate.note}
    return {
        'kind': 'mace',
        'name': surrogate.name,
        'sha256': model.sha256,
        'elements': list(model.elements),
        'cutoff': model.cutoff,
        'device': model.device,
        'dtype': model.dtype,
        'note': '',
    }


def _notes(config: SelectionConfig, selection: Selection, frames: Frames, budget: int, surrogate: Surrogate) -> list[str]:
    """Return sentences on what the user should know of this selection."""
    notes = [surrogate.note] if surrogate.note else []
    n_inside = selection.counts['inside']
    if budget > n_inside == len(selection.indices):
        notes.append(f'the budget of {budget} is larger than the {n_inside} candidates that passed all filters: all were taken')
    if len(selection.indices) < min(budget, n_inside):
        notes.append(
            f'{len(selection.indices)} of {n_inside} candidates were taken, fewer than the budget of {budget}: '
            'the others would add nothing to the active set'
        )
    chosen = frames.take(selection.indices)
    for name, shares, labels in (
        ('config_type', config.quotas.config_type, chosen.config_type.tolist()),
        ('composition', config.quotas.composition, reduced_formulas(chosen)),
    ):
        got = Counter(labels)
        missed = {label: (got[label], wanted) for label, wanted in whole_numbers(shares, budget).items() if got[label] != wanted}
        notes += [f'quota of {name} {label}: {have} of {wanted} were selected' for label, (have, wanted) in missed.items()]
    return notes
