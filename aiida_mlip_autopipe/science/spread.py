"""The spread of the predictions of a linear potential, by the posterior in its folder and the rows of its engine."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from aiida_mlip_autopipe.common.engines import PACE
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.pace import POTENTIAL_YAML
from aiida_mlip_autopipe.common.pod import PARAMETERS
from aiida_mlip_autopipe.science.ace.rows import AceRows
from aiida_mlip_autopipe.science.force_sources import require_runnable
from aiida_mlip_autopipe.science.lammps_library import LammpsPotential
from aiida_mlip_autopipe.science.linear.posterior import Posterior, Spread
from aiida_mlip_autopipe.science.linear.rows import RowSource
from aiida_mlip_autopipe.science.pod.descriptors import PodDescriptors


def posterior_spread(frames: Frames, potential: LammpsPotential, folder: Path) -> Spread:
    """Return the standard deviations of predictions, in this process; call it by `isolated`.

    :param folder: of the potential, with `posterior.npz`.
    :raises InputError: a frame that the potential cannot run, or a posterior of another potential.
    :raises FormatError: there is no readable posterior.
    """
    posterior = Posterior.load(folder)
    for index, atoms in enumerate(frames):
        require_runnable(atoms, potential, f'frame {index}')
    with _opened(potential, folder, len(posterior.root)) as source:
        return posterior.spread(frames, source)


def _opened(potential: LammpsPotential, folder: Path, n_coefficients: int) -> AbstractContextManager[RowSource]:
    if potential.engine != PACE:
        return PodDescriptors(potential.elements, folder / PARAMETERS)
    plain = AceRows.of_file(folder / POTENTIAL_YAML, potential.elements)
    if n_coefficients == plain.n_functions:
        return nullcontext(plain)
    with_energies = AceRows.of_file(folder / POTENTIAL_YAML, potential.elements, with_one_body=True)
    if n_coefficients != len(with_energies.one_body) + plain.n_functions:
        raise InputError(f'the posterior is of {n_coefficients} coefficients, the potential has {plain.n_functions} functions')
    return nullcontext(with_energies)
