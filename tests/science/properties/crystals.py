"""Crystals with known properties, and the methods that give them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from matscipy.calculators.manybody import Manybody
from matscipy.calculators.manybody.explicit_forms.stillinger_weber import Stillinger_Weber_PRB_31_5262_Si, StillingerWeber

from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.eos import EosProperty
from aiida_mlip_autopipe.science.properties.quantity import Property, Result

Method = Callable[[], Any]

REST = EosProperty(volumes=(0.94, 1.06), count=7)


def stillinger_weber() -> Any:
    """Return the potential of Stillinger and Weber for silicon, whose elastic constants are published."""
    return Manybody(**StillingerWeber(Stillinger_Weber_PRB_31_5262_Si))


def results(frames: Mapping[str, Atoms], method: Method = EMT) -> dict[str, Result]:
    """Return what a calculator of ASE says of structures."""
    found = {}
    for part, given in frames.items():
        atoms = given.copy()
        atoms.calc = method()
        found[part] = Result(given, atoms.get_potential_energy(), atoms.get_forces(), np.asarray(atoms.get_stress()))
    return found


def at_rest(crystal: Crystal, method: Method = EMT) -> Crystal:
    """Return the crystal at the equilibrium of a method."""
    return crystal.at_volume(REST.rest(results(REST.frames(crystal), method)).volume)


def measured(asked: Property, crystal: Crystal, method: Method = EMT) -> dict[str, float]:
    """Return the quantities of a crystal at rest, by their names."""
    return {q.name: q.value for q in asked.quantities(crystal, results(asked.frames(crystal), method))}


def copper() -> Crystal:
    """Return copper in its cubic cell, of which the primitive one is to be found."""
    return Crystal.standardized('Cu', bulk('Cu', a=3.6, cubic=True))


def silicon() -> Crystal:
    """Return silicon."""
    return Crystal.standardized('Si', bulk('Si', a=5.43))
