"""What runs on the compute machine: `mlip-worker pairs.label` and `mlip-worker pairs.train`."""

from functools import partial

import numpy as np
from ase.calculators.lj import LennardJones

from aiida_mlip_autopipe.common.potential import PotentialRecord
from aiida_mlip_autopipe.remote.inputs import checked, read_frames
from aiida_mlip_autopipe.remote.label_ase import label_frames
from aiida_mlip_autopipe.remote.potential_files import potential_folder, write_record
from aiida_mlip_autopipe.science.uncertainty.active_set import ActiveSet
from mlip_pairs.potential import ACTIVE_SET, rows, write_table
from mlip_pairs.settings import PairLabeller, PairTrainer


def label(settings, folder):
    config = checked(PairLabeller, settings['settings'])
    theory = {'sigma': config.sigma, 'epsilon': config.epsilon, 'rc': 3 * config.sigma}
    return label_frames(folder, config, partial(LennardJones, **theory), {'code': 'pairs', **theory})


def train(settings, folder):
    config, elements = checked(PairTrainer, settings['settings']), tuple(settings['elements'])
    frames, files = read_frames(folder, 'frames'), potential_folder(folder)
    found = [rows(atoms, config.cutoff) for atoms in frames]
    energies = np.array([sums.mean(axis=0) / 2 for sums, _ in found])
    forces = np.concatenate([own for _, own in found])
    design, wanted = np.vstack([energies, forces]), np.append(frames.energy / frames.counts, frames.forces)
    scale = np.abs(design).max(axis=0)
    coefficients = np.linalg.lstsq(design / scale, wanted, rcond=config.rcond)[0] / scale
    kinds = np.array([elements.index(symbol) for atoms in frames for symbol in atoms.symbols])
    ActiveSet.fit(np.concatenate([sums for sums, _ in found]), kinds).save(files / ACTIVE_SET)
    record = PotentialRecord(
        engine='pairs.table',
        elements=elements,
        cutoff=config.cutoff,
        pair_lines=write_table(files, coefficients, config.cutoff),
        grade_lines=('# the grade needs no line of LAMMPS',),
        reference_energies=dict.fromkeys(elements, 0.0),
        fingerprint=str(frames.fingerprint[0]),
        active_set=ACTIVE_SET,
    )
    write_record(folder, record)
    off = np.split(design @ coefficients - wanted, [len(frames)])
    errors = {name: float(np.sqrt(np.mean(part**2))) for name, part in zip(('energy_rmse', 'force_rmse'), off, strict=True)}
    return {'engine': 'pairs.table', 'n_frames': len(frames), 'training_errors': errors}
