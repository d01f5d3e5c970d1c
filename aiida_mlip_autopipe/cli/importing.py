"""What the command import does: structures of a file as a node, labels with a declared level of theory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.structures import import_frames


def import_file(path: Path, theory: Sequence[str]) -> FramesData:
    """Store the structures of a file, print what they are, and return the node.

    :param theory: texts `key=value` that declare the level of theory of the labels.
    :raises InputError: a text is no `key=value`.
    :raises FormatError: the file cannot be read, or has labels of an undeclared level of theory.
    """
    wrong = [text for text in theory if not all(text.partition('='))]
    if wrong:
        raise InputError(f'--theory: got {wrong[0]!r}; expected key=value, such as functional=PBE')
    frames = import_frames(path, dict(text.split('=', 1) for text in theory))
    load_profile()
    node = FramesData(frames)
    node.label, node.description = path.name, f'imported from {path.resolve()}; {", ".join(theory)}'.rstrip('; ')
    node.store()
    fingerprints = sorted(set(frames.fingerprint[frames.labelled].tolist()))
    n_lineages = len(set(frames.lineage.tolist()))
    click.echo(
        f'{len(frames)} structures, {int(frames.labelled.sum())} labelled, level of theory {", ".join(fingerprints) or "none"}; '
        f'{n_lineages} {"lineage" if n_lineages == 1 else "lineages"}, of which none is split between training and testing'
    )
    click.echo(f'stored as FramesData with PK {node.pk}')
    return node
