"""Crystals out of JSON as the Materials Project and pymatgen write it: a list of entries, or of structures alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.errors import FormatError

LISTS: Final = ('data', 'results', 'response', 'structures', 'entries')
"""Keys under which a mapping holds the list."""


def crystals_of(value: Any) -> list[Atoms] | None:
    """Return the crystals of parsed JSON, or None where it is something else.

    :param value: a structure (`lattice` and `sites`), an entry that has one under `structure`, a list of these, or a mapping
        that holds such a list.
    :raises FormatError: a crystal has sites shared by several elements, or misses a value.
    """
    entries = next((value[key] for key in LISTS if key in value), [value]) if isinstance(value, Mapping) else value
    if not isinstance(entries, list) or not entries:
        return None
    structures = [_structure(entry) for entry in entries]
    if any(structure is None for structure in structures):
        return None
    return [_atoms(structure, index) for index, structure in enumerate(structures) if structure is not None]


def _structure(entry: Any) -> Mapping[str, Any] | None:
    found = entry.get('structure', entry) if isinstance(entry, Mapping) else None
    return found if isinstance(found, Mapping) and {'lattice', 'sites'} <= set(found) else None


def _atoms(structure: Mapping[str, Any], index: int) -> Atoms:
    try:
        symbols = [_symbol(site, index) for site in structure['sites']]
        positions = np.array([site['abc'] for site in structure['sites']], dtype=np.float64)
        cell = np.array(structure['lattice']['matrix'], dtype=np.float64)
        return Atoms(symbols, scaled_positions=positions, cell=cell, pbc=True)
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f'crystal {index}: is no structure of pymatgen ({type(error).__name__}: {error})') from error


def _symbol(site: Mapping[str, Any], index: int) -> str:
    """Return the chemical symbol of a site; oxidation states, as in `O2-`, are left out."""
    species = site['species']
    if len(species) != 1 or abs(float(species[0].get('occu', 1)) - 1) > 1e-6:
        raise FormatError(f'crystal {index}: a site is shared by {[kind["element"] for kind in species]}; give one element each')
    return str(species[0]['element']).rstrip('+-0123456789.')
