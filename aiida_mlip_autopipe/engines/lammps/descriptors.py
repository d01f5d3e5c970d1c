"""The rows of a linear potential: those of its atoms give the grade, those of its predictions how sure they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.engine import engine_of
from aiida_mlip_autopipe.engines.lammps.forces import require_each_runnable
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, kinds_of
from aiida_mlip_autopipe.science.linear.posterior import Posterior, Spread
from aiida_mlip_autopipe.science.selection.d_optimal import AtomRows


def atom_rows(frames: Frames, potential: LammpsPotential, folder: Path) -> AtomRows:
    """Return what the energy of each atom is linear in, in this process; call it by `isolated`.

    :param folder: of the potential.
    :raises InputError: a frame that the potential cannot run.
    :raises EngineError: its engine is not registered, or LAMMPS or pyace refuses its files.
    """
    engine = engine_of(potential.engine)
    require_each_runnable(frames, potential)
    kinds = [kinds_of(atoms, potential.elements) for atoms in frames]
    rows = engine.atom_rows(frames, potential, folder)
    return AtomRows(rows, np.concatenate([np.zeros(0, dtype=np.int64), *kinds]), frames.counts)


def posterior_spread(frames: Frames, potential: LammpsPotential, folder: Path) -> Spread:
    """Return the standard deviations of predictions, in this process; call it by `isolated`.

    :param folder: of the potential, with `posterior.npz`.
    :raises InputError: a frame that the potential cannot run, or a posterior of another potential.
    :raises FormatError: there is no readable posterior.
    """
    posterior = Posterior.load(folder)
    require_each_runnable(frames, potential)
    with engine_of(potential.engine).design_rows(potential, folder, len(posterior.root)) as source:
        return posterior.spread(frames, source)
