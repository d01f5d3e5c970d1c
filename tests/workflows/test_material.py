import pytest
from aiida import orm
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.workflows.material import sections_of


def test_elements_give_themselves_and_their_alloys_of_two():
    system = sections_of(['Al', 'Mg'])['system']
    assert (system['elements'], system['prototype']) == (['Al', 'Mg'], 'fcc')
    assert system['compositions'] == [
        {'Al': 1.0},
        {'Mg': 1.0},
        {'Al': 0.25, 'Mg': 0.75},
        {'Al': 0.5, 'Mg': 0.5},
        {'Al': 0.75, 'Mg': 0.25},
    ]
    assert sections_of(['Si'])['system']['prototype'] == 'diamond'


def test_a_structure_is_the_base_itself():
    node = orm.StructureData(ase=bulk('NaCl', 'rocksalt', a=5.6)).store()
    assert sections_of(node) == {'system': {'elements': ['Na', 'Cl']}, 'generate': {'structures': {'nodes': [node.uuid]}}}


@pytest.mark.parametrize(
    ('material', 'said'),
    [
        ([], 'material: got no element'),
        (['Qq'], "material: got 'Qq'; must be chemical symbols"),
        (['Ga'], 'material: Ga is orthorhombic as an element, which is no prototype; give a StructureData'),
    ],
)
def test_what_is_no_material(material, said):
    with pytest.raises(InputError, match=said):
        sections_of(material)


def test_a_structure_that_is_not_stored():
    with pytest.raises(InputError, match='material: the structure must be stored'):
        sections_of(orm.StructureData(ase=bulk('Cu')))
