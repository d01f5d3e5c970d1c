"""The verdict on a potential."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aiida_mlip_autopipe.science.properties import plan, rows
from aiida_mlip_autopipe.science.properties.crystal import Crystal
from aiida_mlip_autopipe.science.properties.rows import Method, Row, expansion_rows, property_rows, verdict
from tests.science.properties.crystals import at_rest, copper, results
from tests.science.properties.settings import configuration

SETTINGS = configuration({'crystals': ['Cu'], 'elastic': {'strain': 0.005}, 'vacancy': {'supercell': [2, 2, 2]}})['properties']
NAMES = ['eos', 'elastic', 'vacancy']


def method(name: str, *, scale: float = 1.0, left_out: tuple[str, ...] = ()) -> Method:
    """Return EMT, its energies and stresses scaled."""
    rest, asked = plan.rest_property(SETTINGS), plan.properties_at_rest(SETTINGS)
    crystal = at_rest(copper())
    found = {'eos': results(rest.frames(copper())), **{key: results(p.frames(crystal)) for key, p in asked.items()}}
    scaled = {
        key: {part: dataclasses.replace(r, energy=scale * r.energy, stress=scale * r.stress) for part, r in parts.items()}
        for key, parts in found.items()
    }
    kept = {key: {part: r for part, r in parts.items() if part not in left_out} for key, parts in scaled.items()}
    return Method(name, {'Cu': crystal}, {'Cu': kept})


@pytest.fixture(scope='module')
def reference() -> Method:
    return method('reference')


def told(ours: Method, theirs: Method) -> dict[str, Row]:
    return {row.quantity: row for row in property_rows(NAMES, [copper()], (ours, theirs), SETTINGS)}


def test_the_same_passes(reference: Method) -> None:
    found = told(dataclasses.replace(reference, name='potential'), reference)
    assert list(found) == ['V0', 'B0', 'C11', 'C12', 'C44', 'E_vacancy']
    assert all(row.passed and row.error == 0 and not row.note for row in found.values())
    assert verdict(list(found.values()))


def test_a_stiffer_potential_fails_where_it_is_too_stiff(reference: Method) -> None:
    found = told(method('potential', scale=1.12), reference)
    assert {name: row.passed for name, row in found.items()} == {
        'V0': True,
        'B0': False,  # 12 % of at most 10
        'C11': True,  # of at most 15
        'C12': True,
        'C44': True,
        'E_vacancy': False,  # 0.15 of at most 0.1 eV
    }
    assert found['B0'].error == pytest.approx(0.12 * found['B0'].reference, rel=1e-3)
    assert found['B0'].threshold == pytest.approx(0.1 * found['B0'].reference)
    assert not verdict(list(found.values()))


def test_a_label_that_is_missing_fails_its_property_alone(reference: Method) -> None:
    broken = method('reference', left_out=('strain 1-', 'strain 4-'))
    found = told(dataclasses.replace(reference, name='potential'), broken)
    for name in ('C11', 'C12', 'C44'):
        assert found[name].passed is False
        assert found[name].potential is not None
        assert found[name].reference is None
        assert found[name].note == 'reference: 2 of 4 structures have no result, the first is strain 1-'
    assert found['V0'].passed
    assert found['E_vacancy'].passed


def test_a_potential_without_equilibrium_fails_everything(reference: Method) -> None:
    rising = {part: dataclasses.replace(r, energy=r.atoms.cell.volume) for part, r in reference.found['Cu']['eos'].items()}
    lost = Method('potential', {}, {'Cu': {'eos': rising}})
    found = told(lost, reference)
    assert all(row.passed is False for row in found.values())
    assert found['V0'].note.startswith('potential: the energy has no minimum between')
    assert found['C11'].note == 'potential: the crystal has no equilibrium there'
    assert rows.crystals_at_rest([copper()], lost.found, SETTINGS) == []


def test_where_both_are_lost_there_is_one_row(reference: Method) -> None:
    lost = Method('potential', {}, {})
    found = property_rows(['elastic'], [copper()], (lost, dataclasses.replace(lost, name='reference')), SETTINGS)
    assert [(row.quantity, row.passed) for row in found] == [('elastic', False)]
    assert found[0].note.count('the crystal has no equilibrium there') == 2


def test_crystals_at_rest(reference: Method) -> None:
    (found,) = rows.crystals_at_rest([copper()], reference.found, SETTINGS)
    assert found.volume == pytest.approx(at_rest(copper()).volume, rel=1e-4)


def test_a_property_that_a_crystal_has_not_is_no_row(reference: Method) -> None:
    compound = Crystal.standardized('AuCu3', plan.make_crystals(['L1_2 AuCu3'], *_sections(), {})[0].atoms)
    assert property_rows(['vacancy'], [compound], (reference, reference), SETTINGS) == []


def _sections() -> tuple[dict, dict]:
    values = configuration()
    return values['system'], values['generate']


def test_expansion_of_a_known_coefficient() -> None:
    alpha = 2e-5
    volumes = {t: 12.0 * float(np.exp(3 * alpha * (t - 300))) for t in (300.0, 450.0, 600.0)}
    *cells, found = expansion_rows('Cu', volumes, None, 0.3)
    assert found.potential == pytest.approx(alpha, rel=1e-9)
    assert (found.passed, found.note) == (None, 'no reference is given')
    assert [row.quantity for row in cells] == ['V(300 K)', 'V(450 K)', 'V(600 K)']
    assert expansion_rows('Cu', volumes, 1.7e-5, 0.3)[-1].passed
    assert expansion_rows('Cu', volumes, 1.4e-5, 0.3)[-1].passed is False


@pytest.mark.parametrize(
    ('passed', 'expected'), [([True, None], True), ([True, False], False), ([None], False), ([], False), ([True], True)]
)
def test_verdict(passed: list[bool | None], expected: bool) -> None:
    assert verdict([Row('Cu', 'eos', 'V0', '', passed=one) for one in passed]) is expected


def test_degenerate_branches_are_one_row() -> None:
    def row(branch: int, potential: float | None, reference: float = 5.0, point: str = '0.5 0.5 0') -> Row:
        return Row('Cu', 'phonons', f'f{branch}({point})', 'THz', potential, reference)

    given = [row(1, 4.0), row(2, 4.0), row(3, 4.0), row(4, 4.0, 5.5), row(5, None), row(6, None), row(1, 4.0, point='0 0 0')]
    found = rows._with_degenerate_branches_once(given)
    names = ['f1-3(0.5 0.5 0)', 'f4(0.5 0.5 0)', 'f5(0.5 0.5 0)', 'f6(0.5 0.5 0)', 'f1(0 0 0)']
    assert [one.quantity for one in found] == names
    other = [Row('Cu', 'eos', 'V0', '', 1.0, 1.0), Row('Cu', 'elastic', 'C11', '', 1.0, 1.0)]
    assert rows._with_degenerate_branches_once(other) == other
    last = [row(1, 4.0), Row('Au', 'eos', 'V0', '', 1.0, 1.0), Row('Au', 'phonons', 'phonons', '', passed=False, note='none')]
    assert rows._with_degenerate_branches_once(last) == last, 'the next crystal, and phonons that could not be had'


def test_curves(reference: Method) -> None:
    curves = rows.eos_curves((dataclasses.replace(reference, name='potential'), reference))
    assert set(curves['Cu']) == {'potential', 'reference'}
    volumes = [volume for volume, _ in curves['Cu']['reference']]
    assert volumes == sorted(volumes)
    assert len(volumes) == 9
