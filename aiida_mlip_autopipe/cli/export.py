"""What the command export does: the labelled frames of a run as ase.db and extxyz, its potential as files."""

from __future__ import annotations

from pathlib import Path

import click
from aiida import orm
from ase.data import atomic_masses, atomic_numbers

from aiida_mlip_autopipe.cli.commands import load_run
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.database import DatabaseManager, Split
from aiida_mlip_autopipe.formats.extxyz import write_extxyz

PARTS: tuple[tuple[str, Split], ...] = (('references', 'reference'), ('test_frames', 'test'), ('train_frames', 'train'))


def export_run(identifier: str, *, db: Path | None, extxyz: Path | None, potential: Path | None) -> None:
    """Write what was asked for, and say how much.

    :raises InputError: nothing was asked for, or the run has nothing to export yet.
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
        _write_potential(node, potential)


def _mirror(path: Path, parts: dict[Split, orm.Data]) -> None:
    with DatabaseManager(path) as database:
        reports = [database.mirror(part.frames, frames_uuid=part.uuid, split=split) for split, part in parts.items()]
    click.echo(f'{path}: {sum(r.added for r in reports)} added, {sum(r.present for r in reports)} present already')


def _write_potential(node: orm.WorkChainNode, folder: Path) -> None:
    if 'potential' not in node.outputs:
        raise InputError(f'the run {node.pk} has no potential yet; it is {node.process_state.value}')
    data = node.outputs.potential
    data.write(folder)
    masses = '\n'.join(f'mass {i} {atomic_masses[atomic_numbers[e]]:.4f}' for i, e in enumerate(data.elements, start=1))
    (folder / 'in.potential').write_text('\n'.join([masses, *data.lammps_lines(), '']), encoding='utf-8')
    click.echo(f'{folder}: potential of {" ".join(data.elements)}; in LAMMPS, from that folder:')
    for line in data.lammps_lines():
        click.echo(f'  {line}')
