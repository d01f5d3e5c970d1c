"""What one run of `pw.x` needs: structure, k-points and parameters of a frame, as unstored nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from aiida import orm
from aiida.plugins import DataFactory
from aiida_quantumespresso.data.hubbard_structure import HubbardStructureData
from ase import Atoms
from ase.data import ground_state_magnetic_moments

from aiida_mlip_autopipe.common.frames import ISOLATED_ATOM
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.output import pw_parameters
from aiida_mlip_autopipe.science.label import predicted_cost

KpointsData = DataFactory('core.array.kpoints')


@dataclass(frozen=True, eq=False)
class PwInputs:
    """The unstored nodes that describe one run of `pw.x`.

    :param cost: what the run is expected to cost, in arbitrary units.
    """

    structure: orm.StructureData
    kpoints: Any
    parameters: orm.Dict
    cost: float


def pw_inputs(atoms: Atoms, config: DFTConfig, valence: Mapping[str, float]) -> PwInputs:
    """Return what `pw.x` needs to know of a structure, with the k-points that `PwBaseWorkChain` would choose.

    :param config: complete settings, see `DFTConfig.missing`.
    :param valence: valence electrons of the pseudopotential of each element.
    """
    structure = orm.StructureData(ase=_bare(atoms))
    kpoints = KpointsData()
    kpoints.set_cell_from_structure(structure)
    if atoms.info.get('config_type') == ISOLATED_ATOM:
        kpoints.set_kpoints_mesh([1, 1, 1])
    else:
        kpoints.set_kpoints_mesh_from_density(config.kpoints_distance)
    facts = {**config.model_dump(), 'charge_cutoff': config.charge_cutoff}
    symbols = list(atoms.symbols)
    parameters = orm.Dict(pw_parameters(facts, symbols, valence, _moments(atoms, config)))
    mesh, _ = kpoints.get_kpoints_mesh()
    cost = predicted_cost(sum(valence[s] for s in symbols), int(np.prod(mesh)), structure.get_cell_volume())
    return PwInputs(_with_hubbard(structure, config), kpoints, parameters, cost)


def _moments(atoms: Atoms, config: DFTConfig) -> dict[str, float]:
    """Return the initial moments, μB: those of the settings, and Hund's rule for an isolated atom."""
    if atoms.info.get('config_type') != ISOLATED_ATOM:
        return dict(config.magnetic_moments)
    unpaired = {str(atom.symbol): float(ground_state_magnetic_moments[atom.number]) for atom in atoms}
    return unpaired if any(unpaired.values()) else dict.fromkeys(config.magnetic_moments, 0.0)


def _with_hubbard(structure: orm.StructureData, config: DFTConfig) -> orm.StructureData:
    """Return the structure with the card HUBBARD, where the settings want it so."""
    shells = {kind: config.hubbard[kind] for kind in structure.get_kind_names() if kind in config.hubbard}
    if not shells or config.hubbard_input != 'card':
        return structure
    with_u = HubbardStructureData.from_structure(structure)
    for kind, shell in shells.items():
        with_u.initialize_onsites_hubbard(kind, shell.manifold, shell.u, 'U', use_kinds=True)
    return with_u


def _bare(atoms: Atoms) -> Atoms:
    bare = atoms.copy()
    bare.info, bare.calc = {}, None
    return bare
