"""Generated structures as fresh `Atoms` that say which strategy made them."""

from __future__ import annotations

import json
from typing import Any

import numpy.typing as npt
from ase import Atoms

from aiida_mlip_autopipe.common.frames import uid_of


def origin_text(strategy: str, **parameters: Any) -> str:
    """Return the JSON text, keys sorted, of a strategy and its parameters.

    :param strategy: name of the strategy.
    :param parameters: plain numbers, texts, lists and mappings.
    """
    return json.dumps({'strategy': strategy, **parameters}, sort_keys=True)


def fresh_atoms(template: Atoms, config_type: str, origin: str, **changed: npt.ArrayLike) -> Atoms:
    """Return a new structure with the numbers, positions, cell and pbc of `template`, except for what is `changed`.

    Nothing is shared with `template`; its calculator, constraints, magnetic moments and metadata are left behind.

    :param template: the structure to start from.
    :param config_type: what kind of structure this is.
    :param origin: see :func:`origin_text`.
    :param changed: any of `numbers`, `positions` (Å), `cell` (Å) and `pbc`.
    """
    columns = {'numbers': template.numbers, 'positions': template.positions, 'cell': template.cell.array, 'pbc': template.pbc}
    atoms = Atoms(**{**columns, **changed})
    atoms.info.update(config_type=config_type, origin=origin)
    return atoms


def with_lineage(atoms: Atoms, parent: Atoms | None = None) -> Atoms:
    """Return a copy of `atoms` whose metadata hold its uid, its parent's uid and the uid of its root.

    :param atoms: the structure.
    :param parent: the structure it was made from, itself with `uid` and `lineage`; None for a root.
    """
    child = atoms.copy()
    uid = uid_of(child)
    child.info.update(
        uid=uid,
        lineage=uid if parent is None else parent.info['lineage'],
        parent='' if parent is None else parent.info['uid'],
    )
    return child
