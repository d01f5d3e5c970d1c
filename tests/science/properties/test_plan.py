"""The structures of all properties, and what was found sorted back to its parts."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.science.properties import plan
from tests.science.properties.crystals import copper
from tests.science.properties.settings import configuration


def made(values: dict) -> list:
    return plan.make_crystals(values['properties']['crystals'], values['system'], values['generate'], {})


def test_crystals_have_the_size_of_the_configuration() -> None:
    copper_, ordered = made(configuration())
    assert copper_.volume == pytest.approx(3.59**3 / 4)
    assert ordered.atoms.get_chemical_formula() == 'AuCu3'
    assert ordered.volume == pytest.approx((0.75 * 3.59 + 0.25 * 4.06) ** 3 / 4)


def test_a_crystal_of_a_file() -> None:
    values = configuration({'crystals': ['copper'], 'elastic': None}, **{'generate.files': {'paths': ['x/copper.cif']}})
    assert plan.named_files(['copper'], values['generate']) == {'copper': 'x/copper.cif'}
    (found,) = plan.make_crystals(['copper'], values['system'], values['generate'], {'copper': bulk('Cu', cubic=True) * 2})
    assert (found.name, len(found.atoms)) == ('copper', 1)


def test_crystals_travel_as_frames() -> None:
    crystals = made(configuration())
    found = plan.unpack_crystals(Frames.from_arrays(plan.pack_crystals(crystals).to_arrays()))
    assert [crystal.name for crystal in found] == ['Cu', 'L1_2 AuCu3']
    np.testing.assert_allclose(found[1].atoms.positions, crystals[1].atoms.positions)


def test_frames_of_all_properties() -> None:
    settings = configuration()['properties']
    frames = plan.property_frames(made(configuration()), settings)
    counts = {kind: int((frames.config_type == kind).sum()) for kind in dict.fromkeys(frames.config_type.tolist())}
    # 4 strains for each; the compound has no vacancy; a slab and the bulk; a displacement of Cu, and one of each kind of site.
    assert counts['property_elastic'] == 8
    assert counts['property_vacancy'] == 2
    assert counts['property_surface'] == 4
    assert counts['property_phonons'] >= 3
    assert len(plan.rest_frames(made(configuration()), settings)) == 2 * 9


def test_what_is_null_is_left_out() -> None:
    settings = configuration({'elastic': None, 'vacancy': None})['properties']
    assert not plan.properties_at_rest(settings)
    assert len(plan.property_frames([copper()], settings)) == 0


def test_results_go_back_to_their_parts() -> None:
    settings = configuration({'crystals': ['Cu']})['properties']
    frames = plan.property_frames([copper()], settings)
    energies = np.arange(len(frames), dtype=float)
    stressed = frames.replace(energy=energies, labelled=True, has_stress=True)
    some = stressed.take([0, 2, 5])
    found = plan.sorted_results(some)
    assert {name: list(parts) for name, parts in found['Cu'].items()} == {
        'elastic': ['strain 1+', 'strain 4+'],
        'vacancy': ['vacancy'],
    }
    assert found['Cu']['vacancy']['vacancy'].energy == 5
    assert found['Cu']['elastic']['strain 1+'].stress is not None


def test_frames_without_labels_are_no_results() -> None:
    settings = configuration({'crystals': ['Cu']})['properties']
    assert plan.sorted_results(plan.property_frames([copper()], settings)) == {}


@pytest.mark.parametrize('n_atoms', [1, 32, 100])
def test_repeated(n_atoms: int) -> None:
    atoms = plan.repeated(bulk('Mg'), n_atoms)
    assert n_atoms <= len(atoms) < 2 * n_atoms + 20
    assert atoms.cell.lengths().max() < 2 * atoms.cell.lengths().min()
