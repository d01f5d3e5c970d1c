"""What the settings do to real calculations: spin of atoms, magnetism, DFT+U, van der Waals, protocols, remedies."""

import math

import numpy as np
import pytest
from aiida import orm
from aiida.cmdline.utils.common import get_workchain_report
from aiida.engine import run_get_node
from ase.build import bulk

from aiida_mlip_autopipe.calculations.label_functions import prepare_label
from aiida_mlip_autopipe.cli.setup import ensure_family
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso import batch as pw_batch
from aiida_mlip_autopipe.engines.espresso import output as espresso
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.remedies import ladder, next_remedy
from aiida_mlip_autopipe.formats.frame_archive import read_frame_archive
from aiida_mlip_autopipe.science.generate.isolated import isolated_atoms
from aiida_mlip_autopipe.workflows import recover
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from aiida_mlip_autopipe.workflows.pseudos import facts_of
from aiida_mlip_autopipe.workflows.recover import RecoverWorkChain
from tests.aiida_fixtures import PSEUDO_FOLDER, theory_of

pytestmark = pytest.mark.espresso

IRON = 'Fe.pz-nd-rrkjus.UPF'


@pytest.fixture(scope='module')
def label(worker_code, pw_code, lda_family):
    """Return a function that labels structures by `LabelWorkChain` and returns its node."""

    def run(structures, **values):
        given = {'pseudo_family': lda_family.label, 'cutoff_wfc': 12, 'kpoints_distance': 0.8, 'reuse': False, **values}
        settings = orm.Dict(DFTConfig.model_validate(given).model_dump(exclude_none=True))
        frames = FramesData(Frames.from_atoms(structures))
        theory = theory_of(settings, frames.base.attributes.get('elements'))
        _, node = run_get_node(LabelWorkChain, code=pw_code, worker_code=worker_code, frames=frames, **theory)
        return node

    return run


@pytest.fixture(scope='module')
def plain(label):
    """Aluminium without anything special, labelled once."""
    return label([aluminium()])


@pytest.fixture(scope='module')
def iron_of(label):
    """Return a function that labels iron, with settings besides."""
    theory = {'pseudo_family': ensure_family('iron', [PSEUDO_FOLDER / IRON]).label, 'cutoff_wfc': 25, 'cutoff_rho': 200}
    return lambda **settings: label([bulk('Fe', a=2.87)], **theory, **settings)


@pytest.fixture(scope='module')
def plain_iron(iron_of):
    return iron_of()


def level_of(node):
    (level,) = node.outputs.report['levels_of_theory'].values()
    return level


def aluminium():
    return bulk('Al', a=4.0)


def test_an_atom_with_an_unpaired_electron_is_spin_polarised_and_has_the_fingerprint_of_the_crystal(label):
    node = label([*isolated_atoms(['Al', 'Mg'], 7.0), aluminium()])
    assert node.is_finished_ok, node.exit_message
    assert node.outputs.report['n_labelled'] == 3
    assert len(node.outputs.labelled.base.attributes.get('fingerprints')) == 1
    inputs = {}
    for job in (child for child in node.called if child.process_label == 'PwBatchCalculation'):
        with job.base.repository.open(pw_batch.INPUTS, 'rb') as handle:
            inputs.update(read_frame_archive(handle))
    assert [b'nspin' in text for _, text in sorted(inputs.items())] == [True, False, False]
    assert b'starting_magnetization(1) =   3.3333333333d-01' in inputs[0]


def test_the_spin_lowers_the_energy_of_the_aluminium_atom(label):
    atom = isolated_atoms(['Al'], 7.0)[0]
    with_spin = label([atom]).outputs.labelled.frames.energy[0]
    atom.info['config_type'] = 'dimer'
    without = label([atom], kpoints_distance=2).outputs.labelled.frames.energy[0]
    assert 0.01 < without - with_spin < 0.5


def test_moments_make_iron_magnetic(iron_of, plain_iron):
    node = iron_of(magnetic_moments={'Fe': 3})
    assert node.is_finished_ok, node.exit_message
    assert level_of(node)['spin'] == 'polarised'
    assert node.outputs.labelled.frames.energy[0] < plain_iron.outputs.labelled.frames.energy[0] - 0.05
    assert set(node.outputs.labelled.frames.fingerprint) != set(plain_iron.outputs.labelled.frames.fingerprint)


def test_hubbard_u_changes_the_energy_of_iron(iron_of, plain_iron):
    shells = {'Fe': {'manifold': '3d', 'u': 3.0}}
    with_u = iron_of(hubbard=shells, hubbard_input='namelist')
    assert with_u.is_finished_ok, with_u.exit_message
    difference = with_u.outputs.labelled.frames.energy[0] - plain_iron.outputs.labelled.frames.energy[0]
    assert 0.1 < difference < 10  # Dudarev's term is never negative
    assert level_of(with_u)['hubbard'] == shells


def test_hubbard_card_of_newer_versions(lda_family, frames_of_iron):
    config = DFTConfig(pseudo_family='iron', cutoff_wfc=25, hubbard={'Fe': {'manifold': '3d', 'u': 3.0}})
    prepared = prepare_label(frames_of_iron, orm.Dict(config.model_dump()), orm.Dict({'Fe': {'z_valence': 8.0}}), orm.Int(0))
    card = prepared['structure'].hubbard
    assert [(p.atom_manifold, p.value, p.hubbard_type) for p in card.parameters] == [('3d', 3.0, 'U')]
    assert 'hubbard_u' not in prepared['parameters']['SYSTEM']


@pytest.fixture
def frames_of_iron():
    return FramesData(Frames.from_atoms([bulk('Fe', a=2.87)]))


def test_van_der_waals_binds(label, plain):
    corrected = label([aluminium()], vdw_correction='grimme-d2')
    assert corrected.outputs.labelled.frames.energy[0] < plain.outputs.labelled.frames.energy[0] - 0.1
    assert level_of(corrected)['vdw_correction'] == 'grimme-d2'


def test_a_protocol_gives_what_is_missing(label):
    node = label([aluminium()], protocol='fast', kpoints_distance=None)
    assert node.is_finished_ok, node.exit_message
    level = level_of(node)
    assert (level['kpoints_distance'], level['degauss'], level['smearing']) == (0.3, 0.0275, 'cold')


def test_too_few_bands_are_noticed_and_mended(label, plain, monkeypatch):
    expected = plain.outputs.labelled.frames
    monkeypatch.setattr(espresso, 'number_of_bands', lambda n_electrons: math.ceil(n_electrons / 2))
    node = label([aluminium()])
    assert node.is_finished_ok, node.exit_message
    assert 'frame 0 recovered by repeat_with_more_steps from too_few_bands' in get_workchain_report(node, 'REPORT')
    assert node.outputs.labelled.frames.energy[0] == pytest.approx(expected.energy[0], abs=1e-6)


@pytest.mark.parametrize('remedy', [remedy.name for remedy in ladder(0.7, True)])
def test_each_remedy_gives_the_label_of_the_target_theory(remedy, plain, pw_code, lda_family, monkeypatch):
    """The remedies before the one in question are struck off, so that it is the one that runs."""
    skipped = [step.name for step in ladder(0.7, True)]
    skipped = skipped[: skipped.index(remedy)]
    monkeypatch.setattr(recover, 'next_remedy', lambda reason, tried, **facts: next_remedy(reason, [*tried, *skipped], **facts))
    expected = plain.outputs.labelled.frames
    config = orm.Dict(DFTConfig(pseudo_family=lda_family.label, cutoff_wfc=12, kpoints_distance=0.8).model_dump())
    frames = FramesData(Frames.from_atoms([aluminium()]))
    prepared = prepare_label(frames, config, orm.Dict(facts_of(lda_family, ['Al'])), orm.Int(0))
    outputs, node = run_get_node(
        RecoverWorkChain,
        code=pw_code,
        **prepared,
        reason=orm.Str('scf_not_converged'),
        options=orm.Dict({}),
        pseudos={'Al': lda_family.pseudos['Al']},
    )
    assert node.is_finished_ok, node.exit_message
    names = [link.link_label for link in node.base.links.get_outgoing(node_class=orm.WorkChainNode).all()]
    name = remedy.replace('.', '_')
    assert names == ([f'{name}_first_step', name] if remedy == 'wider_smearing_first' else [name])
    assert outputs['output_parameters']['energy'] == pytest.approx(expected.energy[0], abs=1e-6)
    assert np.abs(outputs['output_trajectory'].get_array('forces')[-1]).max() < 1e-3
