import pytest

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.properties import PropertiesConfig, chosen_crystals
from tests.config.settings import changed

ALLOYS = {'system.compositions': [{'Cu': 0.5, 'Au': 0.5}]}


def problem(changes):
    with pytest.raises(InputError) as caught:
        MLIPConfig.from_mapping(changed(changes))
    return str(caught.value)


def chosen(changes):
    config = MLIPConfig.from_mapping(changed(changes)).to_mapping()
    return chosen_crystals(config['properties'], config['system'], config['generate'])


def test_there_is_no_gate_unless_it_is_asked_for():
    assert MLIPConfig.from_mapping(changed({})).properties is None


def test_an_empty_section_looks_at_the_elements():
    config = MLIPConfig.from_mapping(changed({'properties': {}}))
    assert config.properties == PropertiesConfig()
    assert chosen({'properties': {}}) == ['Cu', 'Au']
    assert config.properties.elastic
    assert config.properties.vacancy
    assert [config.properties.surface, config.properties.phonons, config.properties.expansion] == [None] * 3


def test_crystals_of_three_sources():
    sources = {'generate.ordered': {'prototypes': ['L1_2']}, 'generate.files': {'paths': ['some/B2.cif']}}
    names = ['Au', 'L1_2 AuCu3', 'B2']
    assert chosen({**sources, 'properties': {'crystals': names}}) == names


def test_a_crystal_that_is_not_among_the_bases_is_refused():
    assert problem({'properties': {'crystals': ['Ag']}}) == (
        "properties.crystals: got 'Ag'; it must be a crystal among the bases: Cu, Au"
    )
    told = problem({'properties': {'crystals': ['L1_0 AuCu']}, 'generate.ordered': {'prototypes': ['L1_2']}})
    assert told.endswith('Cu, Au, L1_2 Au3Cu, L1_2 AuCu3')


def test_a_system_of_alloys_alone_needs_a_name():
    assert problem({**ALLOYS, 'properties': {}}) == (
        'properties.crystals: missing; no alloy of the system has one element on each sublattice, so name a crystal of '
        'generate.ordered or generate.files (there is none), or leave out properties'
    )
    assert 'none: every base is an alloy' in problem({**ALLOYS, 'properties': {'crystals': ['Cu']}})


@pytest.mark.parametrize(
    ('values', 'told'),
    [
        ({'crystals': ['Cu', 'Cu']}, 'names a crystal twice'),
        ({'eos': {'volumes': [1.01, 1.1]}}, 'must be a volume in 0.5..1 and one in 1..2'),
        ({'eos': {'count': 3}}, 'eos.count: got 3'),
        ({'elastic': {'strain': 0.2}}, 'elastic.strain: got 0.2'),
        ({'vacancy': {'supercell': [2, 0, 2]}}, 'vacancy.supercell'),
        ({'vacancy': {'error': -0.1}}, 'vacancy.error: got -0.1'),
        ({'surface': {'millers': [[0, 0, 0]]}}, 'must not all be 0'),
        ({'phonons': {'q_points': [[0.25, 0, 0]]}}, 'does not fit the supercell [2, 2, 2]'),
        ({'expansion': {'temperatures': [600, 300]}}, 'temperatures must rise'),
        ({'expansion': {'temperatures': [300, 300]}}, 'temperatures must rise'),
        ({'expansion': {'reference': {'Ag': 2e-5}}}, "properties.expansion.reference: names 'Ag'; the crystals are Cu, Au"),
        ({'elastics': {}}, 'did you mean'),
    ],
)
def test_mistakes_are_told(values, told):
    assert told in problem({'properties': values})


def test_null_leaves_a_property_out():
    config = MLIPConfig.from_mapping(changed({'properties': {'elastic': None, 'lammps_code': None}}))
    assert config.properties.elastic is None
    assert config.properties.lammps_code is None
    assert MLIPConfig.from_mapping(config.to_mapping()) == config
