"""Families of pseudopotentials: what is told when one does not fit, and its cutoffs."""

import shutil

import pytest
from aiida import orm
from aiida_pseudo.data.pseudo.upf import UpfData
from aiida_pseudo.groups.family import CutoffsPseudoPotentialFamily
from ase.build import bulk

from aiida_mlip_autopipe.calculations.label_functions import complete_settings, completed
from aiida_mlip_autopipe.calculations.label_pw import missing_pseudos
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.workflows.pseudos import cutoff_warnings, facts_of, find_family, theory_inputs
from tests.aiida_fixtures import PSEUDO_FOLDER, PSEUDOS

ELEMENTS = ['Al', 'Mg']


@pytest.fixture(scope='module')
def with_cutoffs(lda_family, tmp_path_factory):
    """A family that recommends cutoffs at two stringencies."""
    folder = tmp_path_factory.mktemp('pseudos')
    for name in PSEUDOS:
        shutil.copy(PSEUDO_FOLDER / name, folder / f'{name.split(".")[0]}.upf')
    family = CutoffsPseudoPotentialFamily.create_from_folder(folder, 'with-cutoffs', pseudo_type=UpfData)
    for stringency, (aluminium, magnesium) in {'low': (16, 20), 'high': (30, 24)}.items():
        cutoffs = {'Al': aluminium, 'Mg': magnesium}
        values = {element: {'cutoff_wfc': wfc, 'cutoff_rho': 5 * wfc} for element, wfc in cutoffs.items()}
        family.set_cutoffs(values, stringency, unit='Ry')
    family.set_default_stringency('high')
    return family


def config(family, **values):
    return DFTConfig.model_validate({'pseudo_family': family, **values})


def problem(label, elements, **values):
    with pytest.raises(InputError) as caught:
        find_family(config(label, **values), elements)
    return str(caught.value)


def test_a_family_is_found_by_its_label(lda_family):
    assert find_family(config('mlip-demo-lda', cutoff_wfc=15), ['Al']).pk == lda_family.pk


def test_a_missing_family_lists_the_installed(lda_family):
    message = problem('SSSP', ['Al'])
    assert message.startswith("label.pseudo_family: got 'SSSP'; installed families: ")
    assert 'mlip-demo-lda' in message


def test_the_family_of_a_protocol_is_named(lda_family):
    assert problem(None, ['Al'], protocol='stringent').startswith("label.pseudo_family: got 'SSSP/1.3/PBEsol/precision'; ")


def test_a_group_that_is_no_family(aiida_profile):
    orm.Group(label='no-family').store()
    message = problem('no-family', ['Al'])
    assert message == "label.pseudo_family: 'no-family' is a group, but not a family of pseudopotentials"


def test_a_family_without_an_element(lda_family):
    message = problem('mlip-demo-lda', ['Al', 'Xe', 'Cu'])
    assert message == "label.pseudo_family: 'mlip-demo-lda' has no pseudopotential for ['Cu', 'Xe']; it has ['Al', 'Mg']"


def test_nobody_gives_a_cutoff(lda_family):
    assert problem('mlip-demo-lda', ['Al']).startswith(
        "label.cutoff_wfc: missing, and the family 'mlip-demo-lda' recommends none"
    )


def test_facts_of_a_family(lda_family, with_cutoffs):
    assert facts_of(lda_family, ['Al'])['Al'] == {'md5': lda_family.pseudos['Al'].md5, 'z_valence': 3.0}
    assert {name: facts_of(with_cutoffs, ELEMENTS)['Mg'][name] for name in ('cutoff_wfc', 'cutoff_rho')} == {
        'cutoff_wfc': pytest.approx(24),
        'cutoff_rho': pytest.approx(120),
    }


def test_the_highest_cutoff_among_the_elements_is_taken(with_cutoffs):
    facts = facts_of(with_cutoffs, ELEMENTS)
    full = completed(config('with-cutoffs'), facts)
    assert (full.cutoff_wfc, full.cutoff_rho) == (pytest.approx(30), pytest.approx(150))
    assert full.missing == []
    assert completed(config('with-cutoffs'), {'Mg': facts['Mg']}).cutoff_wfc == pytest.approx(24)


def test_a_given_cutoff_keeps_the_ratio_of_the_family(with_cutoffs):
    full = completed(config('with-cutoffs', cutoff_wfc=40), facts_of(with_cutoffs, ELEMENTS))
    assert (full.cutoff_wfc, full.cutoff_rho) == (40, pytest.approx(200))


def test_given_values_win_over_the_protocol(lda_family):
    full = completed(config('mlip-demo-lda', protocol='fast', cutoff_wfc=15, degauss=0.01), facts_of(lda_family, ELEMENTS))
    assert (full.degauss, full.kpoints_distance, full.mixing_beta, full.charge_cutoff) == (0.01, 0.3, 0.4, 60)


def test_null_stays_where_it_is_an_answer(lda_family):
    full = completed(config('mlip-demo-lda', cutoff_wfc=15, outlier_zscore=None), facts_of(lda_family, ELEMENTS))
    assert full.outlier_zscore is None


def test_a_cutoff_below_the_least_of_the_family_is_warned_of(with_cutoffs):
    (sentence,) = cutoff_warnings(config('with-cutoffs', cutoff_wfc=18), facts_of(with_cutoffs, ELEMENTS))
    assert sentence == 'label.cutoff_wfc: 18 Ry is less than the least that with-cutoffs recommends: Mg 20 Ry'
    assert cutoff_warnings(config('with-cutoffs', cutoff_wfc=18), facts_of(with_cutoffs, ['Al'])) == []
    assert len(cutoff_warnings(config('with-cutoffs', cutoff_wfc=10, cutoff_rho=40), facts_of(with_cutoffs, ELEMENTS))) == 2


def test_a_family_without_cutoffs_warns_of_nothing(lda_family):
    assert cutoff_warnings(config('mlip-demo-lda', cutoff_wfc=5), facts_of(lda_family, ELEMENTS)) == []


def test_the_whole_family_is_named_and_cutoffs_of_the_system_alone(with_cutoffs):
    found = theory_inputs(config('with-cutoffs'), ['Al'])
    assert {element: pseudo.md5 for element, pseudo in found['pseudos'].items()} == {
        element: pseudo.md5 for element, pseudo in with_cutoffs.pseudos.items()
    }
    assert [element for element, facts in found['facts'].get_dict().items() if 'cutoff_wfc' in facts] == ['Al']
    assert complete_settings(orm.Dict(config('with-cutoffs').model_dump()), found['facts'])['cutoff_wfc'] == pytest.approx(30)


def test_frames_without_an_element_of_the_system_have_its_cutoffs(with_cutoffs):
    """A bug that was: frames of magnesium alone got 24 Ry in a run of Al-Mg whose other frames had 30."""
    found = theory_inputs(config('with-cutoffs'), ELEMENTS)
    assert complete_settings(orm.Dict(config('with-cutoffs').model_dump()), found['facts'])['cutoff_wfc'] == pytest.approx(30)


@pytest.mark.parametrize(('elements', 'said'), [(['Al'], None), (['Al', 'Cu'], "pseudos: none for ['Cu']; given: ['Al', 'Mg']")])
def test_frames_without_a_pseudopotential(lda_family, elements, said):
    frames = FramesData.from_atoms([bulk(element) for element in elements])
    assert missing_pseudos({'frames': frames, 'pseudos': dict(lda_family.pseudos)}, None) == said
