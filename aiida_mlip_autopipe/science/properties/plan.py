"""The properties of a configuration: their structures for all crystals, and what was found sorted back to its parts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.common.crystal_names import file_crystals, ordered_crystals, system_crystals
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.generate.ideal_lattices import parent_lattice
from aiida_mlip_autopipe.science.generate.ordered import compound
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms
from aiida_mlip_autopipe.science.generate.settings import target_of
from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.eos import EosProperty
from aiida_mlip_autopipe.science.properties.quantity import Property, Result, registered_properties

EOS: Final = 'eos'
VACANCY: Final = 'vacancy'
PHONONS: Final = 'phonons'
EXPANSION: Final = 'expansion'

CONFIG_TYPE: Final = 'property'
"""config_type of all structures of this stage, which are never trained on, followed by the name of the property."""

ONE_CELL: Final = (1, 1, 1)

Found = dict[str, dict[str, dict[str, Result]]]
"""Results by crystal, property and part."""


def rest_property(settings: Mapping[str, Any]) -> EosProperty:
    """Return the property that gives each crystal its equilibrium.

    :param settings: fields of `PropertiesConfig`.
    """
    return EosProperty.model_validate(settings[EOS])


def properties_at_rest(settings: Mapping[str, Any]) -> dict[str, Property]:
    """Return the properties that are measured at the equilibrium of a crystal, by their names.

    :param settings: fields of `PropertiesConfig`; strains dimensionless, lengths in Å.
    """
    kinds = registered_properties()
    return {name: kind.model_validate(settings[name]) for name, kind in kinds.items() if settings.get(name)}


def make_crystals(
    names: Sequence[str], system: Mapping[str, Any], generate: Mapping[str, Any], files: Mapping[str, Atoms]
) -> list[Crystal]:
    """Return crystals by their names, each in the size that the configuration gives it.

    :param names: of `chosen_crystals`.
    :param system: fields of `TargetSystem`: lattice parameters in Å.
    :param generate: fields of `GeneratorConfig`.
    :param files: structures read from files, by the names of their crystals.
    :raises InputError: a lattice parameter is missing, or a structure has no symmetry.
    """
    target, pure, ordered = target_of(system), system_crystals(system), ordered_crystals(system, generate)
    found = []
    for name in names:
        if name in pure:
            occupation = tuple({element: 1.0} for element in pure[name])
            atoms = parent_lattice(target.prototype, occupation, target.lattice_parameters, ONE_CELL)
        elif name in ordered:
            atoms = compound(target, *ordered[name])
        else:
            atoms = files[name]
        found.append(Crystal.standardized(name, atoms))
    return found


def named_files(names: Sequence[str], generate: Mapping[str, Any]) -> dict[str, str]:
    """Return the paths of the crystals that are read from files, by their names."""
    return {name: path for name, path in file_crystals(generate).items() if name in names}


def pack_crystals(crystals: Sequence[Crystal]) -> Frames:
    """Return crystals as frames, which carry their names."""
    return Frames.from_atoms(fresh_atoms(c.atoms, CONFIG_TYPE, _origin(c.name, '', '')) for c in crystals)


def unpack_crystals(frames: Frames) -> list[Crystal]:
    """Return the crystals of :func:`pack_crystals`."""
    return [Crystal(part_of(atoms)[0], atoms) for atoms in frames]


def rest_frames(crystals: Sequence[Crystal], settings: Mapping[str, Any]) -> Frames:
    """Return the structures from which all crystals get their equilibrium."""
    return Frames.from_atoms(_tagged(crystals, {EOS: rest_property(settings)}))


def property_frames(crystals: Sequence[Crystal], settings: Mapping[str, Any]) -> Frames:
    """Return the structures of all properties of crystals at their equilibrium; none where nothing is asked for."""
    return Frames.from_atoms(_tagged(crystals, properties_at_rest(settings)))


def _tagged(crystals: Sequence[Crystal], properties: Mapping[str, Property]) -> Iterator[Atoms]:
    for crystal in crystals:
        for name, asked in properties.items():
            for part, atoms in asked.frames(crystal).items() if asked.applies(crystal) else ():
                yield fresh_atoms(atoms, f'{CONFIG_TYPE}_{name}', _origin(crystal.name, name, part))


def sorted_results(frames: Frames) -> Found:
    """Return what labelled frames of this module say, by crystal, property and part."""
    found: Found = {}
    for index, atoms in enumerate(frames):
        if frames.labelled[index]:
            crystal, name, part = part_of(atoms)
            stress = frames.stress[index] if frames.has_stress[index] else None
            result = Result(atoms, float(frames.energy[index]), frames.forces[frames.rows(index)], stress)
            found.setdefault(crystal, {}).setdefault(name, {})[part] = result
    return found


def repeated(atoms: Atoms, n_atoms: int) -> Atoms:
    """Return a cell repeated along its shortest vector until it has at least as many atoms, about as long as wide."""
    repeats = [1, 1, 1]
    while len(atoms) * repeats[0] * repeats[1] * repeats[2] < n_atoms:
        repeats[int(np.argmin(atoms.cell.lengths() * np.array(repeats)))] += 1
    return atoms.repeat(repeats)


def part_of(atoms: Atoms) -> tuple[str, str, str]:
    """Return crystal, property and part of a structure of this module."""
    told = json.loads(atoms.info['origin'])
    return told['crystal'], told['property'], told['part']


def _origin(crystal: str, name: str, part: str) -> str:
    return json.dumps({'strategy': CONFIG_TYPE, 'crystal': crystal, 'property': name, 'part': part}, sort_keys=True)
