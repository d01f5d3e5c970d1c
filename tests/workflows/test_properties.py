import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node
from ase.build import bulk

from aiida_mlip_autopipe.calculations.bases import bases_of
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.data.potential import PotentialData
from aiida_mlip_autopipe.workflows.properties import PropertiesWorkChain, properties_inputs
from tests.workflows.gate import EVERYTHING, Jobs

SMALL = {'crystals': ['Cu', 'Au'], 'vacancy': {'supercell': [2, 2, 2]}}


@pytest.fixture
def inputs(config, worker_code, fake_potential):
    """Return a factory of the inputs of a gate."""

    def make(properties=SMALL, **sections):
        given = config(properties=properties, **sections)
        return {'potential': fake_potential, 'config': given, 'label_code': worker_code, 'worker_code': worker_code}

    return make


@pytest.fixture
def gate(walk, fake_process, inputs):
    """Return a function that walks the outline with finished children."""

    def run(properties=SMALL, **jobs):
        answer = Jobs(fake_process, **jobs)
        return walk(PropertiesWorkChain, answer, **inputs(properties)), answer

    return run


def verdicts(found):
    report = found.outputs['report'].get_dict()
    return {(row['crystal'], row['quantity']): row['passed'] for row in report['rows']}


def test_the_same_method_passes(gate):
    found, jobs = gate()
    assert found.exit_code is None
    assert found.outputs['report']['passed'] is True
    names = ('V0', 'B0', 'C11', 'C12', 'C44', 'E_vacancy')
    assert verdicts(found) == {(crystal, name): True for crystal in ('Cu', 'Au') for name in names}
    assert jobs.calls == [
        ('LabelAseCalculation', 'label_rest'),
        ('EvaluateCalculation', 'evaluate_rest'),
        ('SimulateWorkChain', 'relax_vacancies'),
        ('LabelAseCalculation', 'label_properties'),
        ('EvaluateCalculation', 'evaluate_properties'),
    ]


def test_labels_are_counted_and_kept(gate):
    found, _ = gate()
    report = found.outputs['report'].get_dict()
    frames = found.outputs['reference_frames'].frames
    assert report['n_reference'] == len(frames) == 2 * (9 + 4 + 2)
    assert report['n_reused'] == 2
    assert set(frames.config_type.tolist()) == {'property_eos', 'property_elastic', 'property_vacancy'}
    assert frames.labelled.all()


def test_a_stiff_potential_does_not_pass_and_is_no_error(gate):
    found, _ = gate(stiffness=1.3)
    assert found.exit_code is None
    assert found.outputs['report']['passed'] is False
    told = verdicts(found)
    assert told['Cu', 'V0'] is True
    assert told['Cu', 'B0'] is told['Cu', 'C11'] is False


def test_labels_differ_by_little_and_are_no_outliers(gate):
    found, _ = gate()
    settings = [values['settings'] for process, values in found.submitted if process.__name__ == 'LabelAseCalculation']
    assert [node['outlier_zscore'] for node in settings] == [None, None]


def test_the_relaxed_places_go_into_the_cells_of_both(gate):
    found, _ = gate()
    given = [
        values['frames'].frames
        for process, values in found.submitted
        if values['metadata']['call_link_label'].endswith('_properties')
    ]
    reference, potential = given
    vacancies = [np.flatnonzero(frames.config_type == 'property_vacancy')[1] for frames in given]
    ours, theirs = potential.atoms(int(vacancies[1])), reference.atoms(int(vacancies[0]))
    np.testing.assert_allclose(ours.get_scaled_positions(), theirs.get_scaled_positions(), atol=1e-6)
    assert len(ours) == 7


def test_reference_structures_do_not_depend_on_the_potential(gate):
    """So that the labels of one round serve in the next one."""
    uids = []
    for stiffness in (1.0, 1.2):
        found, _ = gate({**SMALL, 'vacancy': {'supercell': [2, 2, 2], 'relax': False}}, stiffness=stiffness)
        uids.append([v['frames'].frames.uid.tolist() for p, v in found.submitted if p.__name__ == 'LabelAseCalculation'])
    assert uids[0] == uids[1]


def test_the_ideal_places_need_no_relaxation(gate):
    _, jobs = gate({'crystals': ['Cu'], 'vacancy': {'relax': False, 'supercell': [2, 2, 2]}})
    assert 'SimulateWorkChain' not in dict(jobs.calls)


def test_equations_of_state_alone(gate):
    found, jobs = gate({'elastic': None, 'vacancy': None})
    assert [name for _, name in jobs.calls] == ['label_rest', 'evaluate_rest']
    assert set(verdicts(found)) == {(crystal, name) for crystal in ('Cu', 'Au') for name in ('V0', 'B0')}
    assert set(found.outputs['report']['curves']['Cu']) == {'potential', 'reference'}


def test_expansion_has_a_job_for_each_temperature(gate):
    expansion = {'n_atoms': 32, 'temperatures': [300, 500], 'reference': {'Cu': 3e-6}}
    found, jobs = gate({'crystals': ['Cu'], 'elastic': None, 'vacancy': None, 'expansion': expansion})
    assert [name for _, name in jobs.calls][2:] == ['expansion_000', 'expansion_001']
    rows = {row['quantity']: row for row in found.outputs['report']['rows'] if row['property'] == 'expansion'}
    assert rows['alpha']['potential'] == pytest.approx(1e-5 / 3, rel=0.01)  # what the stand-in expands by
    assert rows['alpha']['passed'] is True
    assert rows['V(300 K)']['passed'] is None


def test_md_that_fails_is_a_failure_of_the_potential(gate):
    found, _ = gate({'crystals': ['Cu'], 'elastic': None, 'vacancy': None, 'expansion': {}}, broken=('SimulateWorkChain',))
    assert found.exit_code is None
    assert verdicts(found)['Cu', 'alpha'] is False
    assert found.outputs['report']['passed'] is False
    assert found.outputs['report']['failures'][0] == 'MD at constant pressure failed: SimulateWorkChain broke'


def test_a_vacancy_that_cannot_be_relaxed_fails_alone(gate):
    found, _ = gate({'crystals': ['Cu'], 'vacancy': {'supercell': [2, 2, 2]}}, broken=('SimulateWorkChain',))
    told = verdicts(found)
    assert told['Cu', 'vacancy'] is False
    assert told['Cu', 'C11'] is True
    assert found.outputs['report']['failures'] == ['the vacancies could not be relaxed: SimulateWorkChain broke']


@pytest.mark.parametrize('lost', ['rest', 'properties'])
def test_without_labels_there_is_an_exit_code_and_what_there_is(gate, lost):
    found, _ = gate({'crystals': ['Cu'], 'vacancy': None}, lost=(lost,))
    assert found.label == 'ERROR_LABELS_FAILED'
    assert found.exit_code.message == 'The reference could not be calculated: none could be labelled'
    told = verdicts(found)
    assert told.get(('Cu', 'V0'), False) is (lost == 'properties')
    assert found.outputs['report']['passed'] is False


def test_a_potential_that_cannot_be_evaluated(gate):
    found, _ = gate(broken=('EvaluateCalculation',))
    assert found.label == 'ERROR_EVALUATION_FAILED'
    assert 'EvaluateCalculation broke' in found.exit_code.message
    assert 'reference_frames' in found.outputs


def test_a_file_that_holds_no_crystal(walk, fake_process, inputs, tmp_path):
    path = tmp_path / 'bad.xyz'
    path.write_text('no structure', encoding='utf-8')
    given = inputs({'crystals': ['bad']}, generate={'files': {'paths': [str(path)]}})
    found = walk(PropertiesWorkChain, Jobs(fake_process), **given, bases=bases_of(given['config']['generate']))
    assert found.label == 'ERROR_CRYSTALS_FAILED'


def test_a_crystal_of_a_file(walk, fake_process, inputs, tmp_path):
    path = tmp_path / 'rough.xyz'
    (bulk('Cu', a=3.55, cubic=True) * (1, 1, 2)).write(path, format='extxyz')
    given = inputs({'crystals': ['rough'], 'elastic': None, 'vacancy': None}, generate={'files': {'paths': [str(path)]}})
    found = walk(PropertiesWorkChain, Jobs(fake_process), **given, bases=bases_of(given['config']['generate']))
    path.unlink()
    assert found.outputs['report']['passed'] is True
    assert {row['crystal'] for row in found.outputs['report']['rows']} == {'rough'}


def test_a_configuration_without_the_section(inputs):
    with pytest.raises(ValueError, match='properties: missing'):
        PropertiesWorkChain.get_builder().config = inputs(None)['config']


def test_a_potential_of_other_elements(walk, fake_process, inputs, potential_folder):
    given = inputs()
    given['potential'] = PotentialData.from_folder(potential_folder(elements=('Cu',)))
    with pytest.raises(ValueError, match=r"potential: knows \['Cu'\], but system.elements lists \['Au'\]"):
        walk(PropertiesWorkChain, Jobs(fake_process), **given)


def test_inputs_by_the_labels_of_the_configuration(full_config, fake_potential, worker_code, lmp_code):
    config = MLIPConfig.from_mapping(full_config(properties=SMALL))
    found = properties_inputs(config, fake_potential)
    assert found['lammps_code'].pk == lmp_code.pk
    assert found['worker_code'].pk == found['label_code'].pk == worker_code.pk
    without = MLIPConfig.from_mapping(full_config(properties={**SMALL, 'lammps_code': None}))
    assert 'lammps_code' not in properties_inputs(without, fake_potential)
    with pytest.raises(InputError, match=r"properties\.lammps_code: got 'lmp@elsewhere'"):
        properties_inputs(MLIPConfig.from_mapping(full_config(properties={'lammps_code': 'lmp@elsewhere'})), fake_potential)


@pytest.mark.lammps
def test_all_properties_for_real(config, worker_code, lmp_code, fitted):
    """EMT by the labeller, POD by mlip-worker, relaxation and MD by aiida-lammps in the stock LAMMPS."""
    _, node = run_get_node(
        PropertiesWorkChain,
        potential=fitted.outputs.potential,
        config=config(properties=EVERYTHING),
        label_code=worker_code,
        worker_code=worker_code,
        lammps_code=lmp_code,
    )
    assert node.is_finished_ok, node.exit_message
    report = node.outputs.report.get_dict()
    rows = {row['quantity']: row for row in report['rows']}
    # ASE's EMT: measured 134 GPa and 172.5, 115.4, 89.9 GPa; this POD is one of 40 frames of 8 atoms.
    assert rows['B0']['reference'] == pytest.approx(134.1, abs=1.0)
    assert [rows[name]['reference'] for name in ('C11', 'C12', 'C44')] == pytest.approx([172.5, 115.4, 89.9], abs=1.5)
    assert all(rows[name]['passed'] for name in ('V0', 'B0', 'C11', 'C12', 'C44', 'f1-2(0.5 0.5 0)', 'f3(0.5 0.5 0)'))
    assert 0.5e-5 < rows['alpha']['potential'] < 3e-5
    jobs = [child.process_label for child in node.called_descendants if isinstance(child, orm.CalcJobNode)]
    assert jobs.count('LammpsRawCalculation') == 3
    assert 'SimulateCalculation' not in jobs
    assert len(node.outputs.reference_frames) == report['n_reference']
