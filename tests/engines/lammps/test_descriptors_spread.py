"""The spread of the two engines: what potentials drawn from the posterior differ by."""

import dataclasses

import numpy as np
import pytest

from aiida_mlip_autopipe.common.errors import FormatError, InputError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.ace.files import ACTIVE_SET, POTENTIAL_YAML
from aiida_mlip_autopipe.engines.ace.files import ENGINE as PACE
from aiida_mlip_autopipe.engines.ace.fit import AceSettings, fit_ace
from aiida_mlip_autopipe.engines.ace.potential import grade_lines, pair_lines
from aiida_mlip_autopipe.engines.ace.rows import AceRows
from aiida_mlip_autopipe.engines.lammps.descriptors import posterior_spread
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential
from aiida_mlip_autopipe.engines.pod.files import COEFFICIENTS, PARAMETERS, coefficient_text
from aiida_mlip_autopipe.engines.pod.fit import PodSettings, fit_pod
from aiida_mlip_autopipe.science.linear.posterior import Posterior, Spread
from tests import pod_data

pytestmark = pytest.mark.lammps

MEMBERS = {'pod': 200, 'ace': 40}


@pytest.fixture(scope='module')
def frames():
    return pod_data.training_frames(20)


@pytest.fixture(scope='module')
def pod(frames, tmp_path_factory):
    folder = tmp_path_factory.mktemp('pod')
    settings = PodSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, basis='S')
    fit = fit_pod(frames, pod_data.REFERENCES, settings, folder)
    return fit, folder, pod_data.potential_of(fit, folder)


def ace_potential(folder):
    lines = (
        tuple(line.replace('output_', f'{folder}/output_') for line in part(pod_data.ELEMENTS))
        for part in (pair_lines, grade_lines)
    )
    pair, grade = lines
    return LammpsPotential(pod_data.ELEMENTS, pair, pod_data.CUTOFF, grade, folder / ACTIVE_SET, engine=PACE)


def fitted_ace(frames, references, folder):
    pytest.importorskip('pyace')
    settings = AceSettings(elements=pod_data.ELEMENTS, cutoff=pod_data.CUTOFF, functions=20)
    return fit_ace(frames, references, settings, folder), folder, ace_potential(folder)


@pytest.fixture(scope='module')
def ace(frames, tmp_path_factory):
    return fitted_ace(frames, pod_data.REFERENCES, tmp_path_factory.mktemp('ace'))


@pytest.fixture(scope='module')
def ace_with_free_energies(frames, tmp_path_factory):
    return fitted_ace(frames, {}, tmp_path_factory.mktemp('ace'))


def assert_spread(found: Spread, energies, forces):
    """Compare within five relative standard errors of the standard deviation of so many members."""
    sampling = 5 / np.sqrt(2 * len(energies))
    np.testing.assert_allclose(found.energy, np.std(energies, axis=0), rtol=sampling)
    np.testing.assert_allclose(found.forces, np.sqrt(np.var(forces, axis=0).sum(axis=1)), rtol=sampling)


def test_members_of_pod_are_run_as_potentials_of_their_own(frames, pod, tmp_path):
    fit, folder, potential = pod
    (tmp_path / PARAMETERS).write_bytes((folder / PARAMETERS).read_bytes())
    some, energies, forces = frames.take([1, 7]), [], []
    for deviation in Posterior.load(folder).draw(MEMBERS['pod'], np.random.default_rng(0)):
        (tmp_path / COEFFICIENTS).write_text(coefficient_text(fit.coefficients + deviation))
        found = evaluate_frames(some, pod_data.potential_of(fit, tmp_path, with_grade=False))
        energies.append(found.energy)
        forces.append(found.forces)
    assert_spread(posterior_spread(some, potential, folder), energies, forces)


@pytest.mark.parametrize('zero', ['ace', 'ace_with_free_energies'])
def test_members_of_ace_are_run_as_potentials_of_their_own(request, frames, zero, tmp_path):
    fit, folder, potential = request.getfixturevalue(zero)
    source = AceRows.of_file(folder / POTENTIAL_YAML, pod_data.ELEMENTS)
    plain = dataclasses.replace(ace_potential(tmp_path), grade_lines=(), active_set=None)
    some, energies, forces = frames.take([1, 7]), [], []
    counts = np.array([[some.symbols(i).count(element) for element in pod_data.ELEMENTS] for i in range(2)])
    for deviation in Posterior.load(folder).draw(MEMBERS['ace'], np.random.default_rng(0)):
        source.save(fit.coefficients + deviation[: source.n_functions], tmp_path)
        found = evaluate_frames(some, plain)
        shift = deviation[source.n_functions :]
        energies.append(found.energy + (counts @ shift if len(shift) else 0.0))
        forces.append(found.forces)
    assert_spread(posterior_spread(some, potential, folder), energies, forces)


@pytest.mark.parametrize('engine', ['pod', 'ace'])
def test_it_grows_where_the_potential_was_not_trained(request, frames, engine):
    _, folder, potential = request.getfixturevalue(engine)
    shaken = pod_data.alloy(np.random.default_rng(7), 0.5, rattle=0.3)
    found = posterior_spread(Frames.from_atoms([frames.atoms(2), shaken]), potential, folder)
    assert found.forces[8:].mean() > 2 * found.forces[:8].mean()
    assert found.energy[1] > found.energy[0]


@pytest.mark.parametrize('engine', ['pod', 'ace'])
class TestRefused:
    def test_a_frame_of_another_element(self, request, engine):
        _, folder, potential = request.getfixturevalue(engine)
        atoms = pod_data.alloy(np.random.default_rng(0))
        atoms.symbols[0] = 'Ag'
        with pytest.raises(InputError, match=r'frame 0.*Ag'):
            posterior_spread(Frames.from_atoms([atoms]), potential, folder)

    def test_no_posterior(self, request, frames, engine, tmp_path):
        _, _, potential = request.getfixturevalue(engine)
        with pytest.raises(FormatError, match='is not a posterior'):
            posterior_spread(frames.take([0]), potential, tmp_path)

    def test_a_posterior_of_another_potential(self, request, frames, engine, tmp_path):
        _, folder, potential = request.getfixturevalue(engine)
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        Posterior(np.eye(7), {'energy': 0.1, 'force': 0.1}).save(tmp_path)
        with pytest.raises(InputError, match='the posterior is of 7 coefficients'):
            posterior_spread(frames.take([0]), potential, tmp_path)
