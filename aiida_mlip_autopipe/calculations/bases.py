"""The nodes that a generation starts from: found by what the configuration names, and written for the job that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent
from ase import Atoms

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.formats.bases import BASES, base_folder
from aiida_mlip_autopipe.formats.extxyz import write_extxyz

NODE_TYPES: Final = (orm.StructureData, FramesData)
"""What the section structures may name."""

BASE_TYPES: Final = (*NODE_TYPES, orm.SinglefileData)


def nodes_of(generate: Mapping[str, Any]) -> dict[str, orm.Data]:
    """Return the nodes of the section structures, by the names of their folders.

    :param generate: fields of `GeneratorConfig`.
    :raises InputError: there is no such node, or it is of another kind.
    """
    named = (generate.get('structures') or {}).get('nodes', ())
    return {base_folder('structures', index): _node(identifier) for index, identifier in enumerate(named)}


def bases_of(generate: Mapping[str, Any]) -> dict[str, orm.Data]:
    """Return the inputs `bases` of a generation: nodes of the section structures, and a new one of each file.

    :param generate: fields of `GeneratorConfig`.
    :raises InputError: a node or a file is not there.
    """
    files = {}
    for index, text in enumerate((generate.get('files') or {}).get('paths', ())):
        path = Path(text)
        if not path.is_file():
            raise InputError(f'generate.files.paths: {path} is no file on this machine')
        files[base_folder('files', index)] = orm.SinglefileData(path.resolve())
    return {**nodes_of(generate), **files}


def write_bases(nodes: Mapping[str, orm.Data], folder: Path) -> list[str]:
    """Write nodes into the folder `bases` of a folder, and return the names of the files in it."""
    written = []
    for name, node in nodes.items():
        path = folder / BASES / name / (node.filename if isinstance(node, orm.SinglefileData) else f'{node.uuid}.extxyz')
        path.parent.mkdir(parents=True)
        if isinstance(node, orm.SinglefileData):
            path.write_bytes(node.get_content(mode='rb'))
        else:
            write_extxyz(path, _frames(node))
        written.append(str(path.relative_to(folder)))
    return written


def _node(identifier: str | int) -> orm.Data:
    try:
        node = orm.load_node(identifier)
    except (NotExistent, MultipleObjectsError, ValueError) as error:
        raise InputError(f'generate.structures.nodes: got {identifier!r}; no single node has it: {error}') from error
    if not isinstance(node, NODE_TYPES):
        raise InputError(
            f'generate.structures.nodes: got {identifier!r}, a {type(node).__name__}; expected StructureData or FramesData'
        )
    if isinstance(node, orm.StructureData) and (node.is_alloy or node.has_vacancies):
        raise InputError(
            f'generate.structures.nodes: {identifier!r} has sites of several elements or vacancies; give one atom each'
        )
    return node


def _frames(node: orm.Data) -> Frames:
    if isinstance(node, FramesData):
        return Frames.from_atoms(Atoms(a.numbers, a.positions, cell=a.cell, pbc=a.pbc) for a in node.frames)
    return Frames.from_atoms([node.get_ase()])
