"""What the command export does: the labelled frames of a run as ase.db and extxyz, its potential as files."""

from __future__ import annotations

from pathlib import Path

import click
from aiida import orm
from ase.data import atomic_masses, atomic_numbers

from aiida_mlip_autopipe.cli.nodes import load_run, load_typed
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.cli.summary import round_entries
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.formats.database import DatabaseManager, Split
from aiida_mlip_autopipe.formats.extxyz import write_extxyz

IN_POTENTIAL = 'in.potential'
"""Lines to include in an input of LAMMPS."""

PARTS: tuple[tuple[str, Split], ...] = (('references', 'reference'), ('test_frames', 'test'), ('train_frames', 'train'))


def export_run(
    identifier: str, *, db: Path | None, extxyz: Path | None, potential: Path | None, number: int | None = None
) -> None:
    """Write what was asked for, and say how much.

    :param number: round whose potential is written; None: the one that is the result of the run.
    :raises InputError: nothing was asked for, the run has nothing to export yet, or no potential of that round.
    """
    if db is None and extxyz is None and potential is None:
        raise InputError('nothing to export: give at least one of --db, --extxyz and --potential')
    load_profile()
    node = load_run(identifier)
    parts = {split: node.outputs[name] for name, split in PARTS if name in node.outputs}
    if not parts:
        raise InputError(f'the run {node.pk} has no labelled frames yet; it is {node.process_state.value}')
    if db is not None:
        _mirror(db, parts)
    if extxyz is not None:
        frames = Frames.concatenate([part.frames for part in parts.values()])
        write_extxyz(extxyz, frames)
        click.echo(f'{extxyz}: {len(frames)} labelled frames')
    if potential is not None:
        _write_potential(*_potential_of(node, number), potential)


def _mirror(path: Path, parts: dict[Split, orm.Data]) -> None:
    with DatabaseManager(path) as database:
        reports = [database.mirror(part.frames, frames_uuid=part.uuid, split=split) for split, part in parts.items()]
    click.echo(f'{path}: {sum(r.added for r in reports)} added, {sum(r.present for r in reports)} present already')


def _potential_of(node: orm.WorkChainNode, number: int | None) -> tuple[PotentialData, list[str]]:
    """Return the potential of a round, or of the run, and what is wrong with it."""
    made = {int(entry['round']): entry for entry in round_entries(node) if entry['test_errors']}
    if number is not None and number not in made:
        raise InputError(f'--round: got {number}; the run {node.pk} has potentials of the rounds {sorted(made)}')
    if number is not None:
        return load_typed(made[number]['potential'], PotentialData, f'round {number}'), list(
            made[number].get('failed_checks', [])
        )
    if 'potential' not in node.outputs:
        raise InputError(f'the run {node.pk} has no potential yet; it is {node.process_state.value}')
    result = node.outputs.potential
    faults = [fault for entry in made.values() if entry['potential'] == result.uuid for fault in entry.get('failed_checks', [])]
    return result, faults


def _write_potential(data: PotentialData, faults: list[str], folder: Path) -> None:
    """Write the files of a potential; one that did not pass its checks says so in the file that is included in LAMMPS."""
    data.write(folder)
    masses = [f'mass {i} {atomic_masses[atomic_numbers[e]]:.4f}' for i, e in enumerate(data.elements, start=1)]
    warnings = [f'# WARNING: this potential did not pass its checks: {fault}' for fault in faults]
    (folder / IN_POTENTIAL).write_text('\n'.join([*warnings, *masses, *data.lammps_lines(), '']), encoding='utf-8')
    for fault in faults:
        click.echo(f'WARNING: this potential did not pass its checks: {fault}', err=True)
    click.echo(f'{folder}: potential of {" ".join(data.elements)}; in LAMMPS, from that folder:')
    for line in data.lammps_lines():
        click.echo(f'  {line}')
