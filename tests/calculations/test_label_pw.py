"""The batch job of `pw.x`, by the real program."""

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain
from ase.build import bulk

from aiida_mlip_autopipe.calculations.label_functions import prepare_label
from aiida_mlip_autopipe.calculations.label_pw import PwBatchCalculation
from aiida_mlip_autopipe.calculations.spec import job_options
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.engines.espresso.output import read_result
from aiida_mlip_autopipe.workflows.label import LabelWorkChain
from tests.aiida_fixtures import theory_of
from tests.pw_data import strained_aluminium

ENERGY_TOLERANCE = 1e-8
FORCE_TOLERANCE = 1e-6


def settings(**values):
    given = {'pseudo_family': 'mlip-demo-lda', 'cutoff_wfc': 12, 'kpoints_distance': 0.6, **values}
    return orm.Dict(DFTConfig.model_validate(given).model_dump())


@pytest.fixture
def batch(worker_code, pw_code, lda_family):
    def run(structures, metadata=None, **values):
        return run_get_node(
            PwBatchCalculation,
            metadata=metadata or {},
            code=worker_code,
            pw_code=pw_code,
            frames=FramesData(Frames.from_atoms(structures)),
            pseudos={element: lda_family.pseudos[element] for element in ('Al', 'Mg')},
            settings=settings(**values),
        )

    return run


def one_by_one(structures, pw_code, family):
    """Labels of the same frames by one `PwBaseWorkChain` each."""
    frames, config = FramesData(Frames.from_atoms(structures)), settings()
    pseudos = {element: family.pseudos[element] for element in ('Al', 'Mg')}
    facts = orm.Dict({element: {'md5': pseudo.md5, 'z_valence': pseudo.z_valence} for element, pseudo in pseudos.items()})
    results = []
    for index in range(len(structures)):
        prepared = prepare_label(frames, config, facts, orm.Int(index))
        builder = PwBaseWorkChain.get_builder()
        builder.pw.code = pw_code
        builder.pw.pseudos = {'Al': pseudos['Al']}
        builder.pw.structure, builder.pw.parameters, builder.kpoints = (
            prepared[kind] for kind in ('structure', 'parameters', 'kpoints')
        )
        builder.pw.metadata.options = job_options({})
        outputs, _ = run_get_node(builder)
        arrays = {name: outputs['output_trajectory'].get_array(name)[-1] for name in ('forces', 'stress')}
        results.append(read_result(outputs['output_parameters'].get_dict(), arrays))
    return results


@pytest.mark.espresso
def test_labels_equal_those_of_the_work_chain(batch, pw_code, lda_family):
    structures = strained_aluminium(3)
    outputs, node = batch(structures)
    assert node.exit_status == 0, node.exit_message
    ours = outputs['labelled'].frames
    for index, theirs in enumerate(one_by_one(structures, pw_code, lda_family)):
        assert ours.energy[index] == pytest.approx(theirs.energy, abs=ENERGY_TOLERANCE)
        assert np.abs(ours.forces[ours.rows(index)] - theirs.forces).max() < FORCE_TOLERANCE
        assert np.abs(ours.stress[index] - theirs.stress).max() < FORCE_TOLERANCE
    assert set(ours.label_uuid) == {node.uuid}


def test_a_walltime_that_leaves_no_time_is_refused(batch):
    with pytest.raises(ValueError, match=r'options\.walltime: got 20; must be more than 30 s'):
        batch(strained_aluminium(1), metadata={'options': {'max_wallclock_seconds': 20}})


def test_settings_that_are_not_complete_are_refused(batch):
    with pytest.raises(ValueError, match=r"settings: \['cutoff_wfc'\] missing; the protocol and the family"):
        batch(strained_aluminium(1), cutoff_wfc=None)


@pytest.mark.espresso
def test_one_that_fails_leaves_the_others(batch):
    good, crowded = strained_aluminium(2), bulk('Al', a=4.0, cubic=True)
    crowded.positions[1] = crowded.positions[0] + [0.02, 0, 0]
    outputs, node = batch([good[0], crowded, good[1]])
    assert node.exit_status == PwBatchCalculation.exit_codes.ERROR_PARTLY_LABELLED.status
    assert len(outputs['labelled']) == 2
    assert (outputs['report']['labelled'], [failure['index'] for failure in outputs['report']['failures']]) == ([0, 2], [1])


@pytest.mark.espresso
def test_the_chain_recovers_what_did_not_converge(worker_code, pw_code, lda_family):
    frames = FramesData(Frames.from_atoms(strained_aluminium(3)))
    outputs, node = run_get_node(
        LabelWorkChain,
        code=pw_code,
        worker_code=worker_code,
        frames=frames,
        **theory_of(settings(electron_maxstep=2, reuse=False)),
    )
    assert node.exit_status == 0, node.exit_message
    report = outputs['report'].get_dict()
    assert (report['n_labelled'], report['n_recovered'], report['remedies']) == (
        3,
        3,
        dict.fromkeys('012', 'repeat_with_more_steps'),
    )
