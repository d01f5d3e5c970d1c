"""The settings and structures of a convergence study, and its report out of made-up jobs."""

import json

import numpy as np
import pytest
from aiida import orm
from ase.build import bulk

from aiida_mlip_autopipe.calculations.converge_functions import (
    judged_again,
    make_study_frames,
    plan_of_study,
    plan_study,
    summarize_study,
    targets_of,
)
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.config.converge import ConvergeConfig
from aiida_mlip_autopipe.data.frames import FramesData
from aiida_mlip_autopipe.engines.espresso.labeller import DFTConfig
from aiida_mlip_autopipe.formats import files
from aiida_mlip_autopipe.science.convergence import Targets
from aiida_mlip_autopipe.science.generate.study import SERIES_STRAINS, STRAIN_SERIES
from aiida_mlip_autopipe.science.label import Label

VALENCE = {'Al': 3.0}
SERIES = {'cutoffs_wfc': [15, 20, 30], 'kpoints_distances': [0.6, 0.4, 0.2]}


def label(**values):
    return DFTConfig.model_validate({'pseudo_family': 'f', 'cutoff_wfc': 20, 'kpoints_distance': 0.4, **values})


def aluminium(*lattice_parameters):
    return Frames.from_atoms([bulk('Al', a=a) for a in lattice_parameters])


FRAMES = aluminium(4.0, 4.1, 3.9)


def plan(frames=FRAMES, series=SERIES, **values):
    return plan_of_study(frames, label(**values), ConvergeConfig.model_validate(series), VALENCE)


class TestPlan:
    def points(self, found, parameter):
        return [(found.facts[n]['cutoff_wfc'], found.facts[n]['kpoints_distance']) for n in found.series[parameter]]

    def test_each_series_goes_through_the_configured_point_which_is_calculated_once(self):
        found = plan()
        assert self.points(found, 'cutoff_wfc') == [(15, 0.4), (20, 0.4), (30, 0.4)]
        assert self.points(found, 'kpoints_distance') == [(20, 0.6), (20, 0.4), (20, 0.2)]
        assert len(found.settings) == 5
        assert all(found.configured in names for names in found.series.values())

    def test_settings_are_those_of_the_configuration_with_one_thing_changed(self):
        found, base = plan(smearing='gaussian'), label(smearing='gaussian').model_dump()
        for name, facts in found.facts.items():
            changed = {key: facts[key] for key in ('cutoff_wfc', 'kpoints_distance')}
            assert found.settings[name] == {**base, **changed}

    def test_the_charge_cutoff_keeps_its_ratio(self):
        found = plan(cutoff_rho=160)
        by_cutoff = {facts['cutoff_wfc']: facts['cutoff_rho'] for facts in found.facts.values()}
        assert by_cutoff == {15: 120, 20: 160, 30: 240}

    def test_distances_with_the_same_meshes_are_one(self):
        found = plan(series={**SERIES, 'kpoints_distances': [0.41, 0.4, 0.399, 0.3, 0.298]})
        assert [distance for _, distance in self.points(found, 'kpoints_distance')] == [0.4, 0.298]
        assert sorted((entry['value'], entry['same_as']) for entry in found.skipped) == [(0.3, 0.298), (0.399, 0.4), (0.41, 0.4)]

    def test_predicted_cost_grows_with_plane_waves_and_k_points(self):
        found = plan()
        cost = {(f['cutoff_wfc'], f['kpoints_distance']): f['predicted'] for f in found.facts.values()}
        assert cost[30, 0.4] / cost[15, 0.4] == pytest.approx(2**1.5)
        n_kpoints = {f['kpoints_distance']: np.prod(f['meshes'][0]) for f in found.facts.values()}
        one = plan(aluminium(4.0)).facts
        of_one = {(f['cutoff_wfc'], f['kpoints_distance']): f['predicted'] for f in one.values()}
        assert of_one[20, 0.2] / of_one[20, 0.4] == pytest.approx(n_kpoints[0.2] / n_kpoints[0.4])

    def test_as_nodes(self):
        nodes = plan_study(
            FramesData(FRAMES), orm.Dict(label().model_dump()), orm.Dict(SERIES), orm.Dict({'Al': {'z_valence': 3.0}})
        )
        assert nodes['plan']['series'] == plan().series
        assert {name: node.get_dict() for name, node in nodes.items() if name != 'plan'} == plan().settings


def test_structures_of_a_configuration(full_config):
    config = full_config()
    inputs = [orm.Dict(config[name]) for name in ('system', 'generate', 'converge')]
    found, same, other = (make_study_frames(*inputs, orm.Int(seed)).frames for seed in (7, 7, 8))
    assert found.config_type.tolist() == ['sqs', 'sqs', 'sqs', 'strain', 'rattle', *['strain_series'] * 4]
    assert found.uid.tolist() == same.uid.tolist() != other.uid.tolist()


def test_targets_are_converted():
    assert targets_of(ConvergeConfig()) == Targets(0.001, 0.01, 0.1 * GPA)
    assert targets_of(ConvergeConfig(target_stress=None)).stress is None


@pytest.fixture
def study():
    """Return a factory of reports; the first structure is wrong by 0.1 eV at 15 Ry, `failures` are of structure 0.

    There the second and the third structure have wrong stresses where they are among those of a series of strains.
    """

    def make(failures=None, without=(), pool=FRAMES, **converge):
        nodes = plan_study(
            FramesData(pool), orm.Dict(label().model_dump()), orm.Dict(SERIES), orm.Dict({'Al': {'z_valence': 3.0}})
        )
        facts, results, jobs = nodes['plan']['facts'], {}, {}
        for number, (name, point) in enumerate(facts.items()):
            job = f'job_{number:03d}'
            jobs[job] = name
            indices = [index for index in range(len(pool)) if str(index) not in (failures or {}).get(name, {})]
            error = 0.1 if point['cutoff_wfc'] == 15 else 0.0
            noise = {1: 0.1 * error, 2: -0.1 * error} if len(pool) == len(SERIES_STRAINS) else {}
            stresses = [np.array([noise.get(index, 0.0), *np.zeros(5)]) for index in indices]
            energies = [-1.0 + error * (index == 0) for index in indices]
            labels = [Label(energy, np.zeros((1, 3)), stress) for energy, stress in zip(energies, stresses, strict=True)]
            atoms = [one.put_on(pool.atoms(i), fingerprint='f') for one, i in zip(labels, indices, strict=True)]
            retrieved = orm.FolderData()
            text = json.dumps({'runs': [{'seconds': point['cutoff_wfc'] / 10}] * len(indices)})
            retrieved.base.repository.put_object_from_bytes(text.encode(), files.REPORT)
            given = {'labelled': FramesData.from_atoms(atoms), 'report': orm.Dict({'labelled': indices}), 'retrieved': retrieved}
            results.update({f'{port}_{job}': node for port, node in given.items() if port not in without})
        outcome = orm.Dict({'jobs': jobs, 'failures': failures or {}})
        options = orm.Dict({**SERIES, **converge})
        return summarize_study(FramesData(pool), nodes['plan'], options, outcome, **results).get_dict()

    return make


class TestReport:
    def test_rows_and_proposals(self, study):
        report = study()
        cutoffs, distances = (report['series'][name] for name in ('cutoff_wfc', 'kpoints_distance'))
        assert [row['value'] for row in cutoffs['rows']] == [15, 20, 30]
        assert [row['relative_worst'] for row in cutoffs['rows']] == pytest.approx([0.1, 0, 0])
        assert (cutoffs['proposal'], cutoffs['unit']) == (20, 'Ry')
        assert (distances['proposal'], distances['unit']) == (0.6, '1/Å')
        assert (report['n_calculations'], report['n_settings']) == (15, 5)

    def test_the_series_of_strains_says_how_rough_the_stresses_are(self, study):
        assert [row['roughness'] for row in study()['series']['cutoff_wfc']['rows']] == [None] * 3
        report = study(pool=aluminium(4.0, 4.1, 3.9, 3.8).replace(config_type=STRAIN_SERIES))
        rows = report['series']['cutoff_wfc']['rows']
        assert [row['roughness'] for row in rows] == pytest.approx([0.02, 0, 0])
        assert [row['stress_worst'] for row in rows] == pytest.approx([0.01, 0, 0])
        proposals = [judged_again(report, Targets(9.0, 9.0, t))['series']['cutoff_wfc']['proposal'] for t in (0.015, 0.021)]
        assert proposals == [20, 15], 'stresses may agree and be rough'

    def test_structures_with_the_meshes_of_the_reference_are_counted(self, study):
        series = study()['series']
        assert [row['n_same_meshes'] for row in series['cutoff_wfc']['rows']] == [3, 3, 3]
        assert [row['n_same_meshes'] for row in series['kpoints_distance']['rows']] == [0, 0, 3]

    def test_costs_are_those_of_the_configured_setting(self, study):
        report = study()
        assert report['seconds'] == pytest.approx(3 * (1.5 + 3.0) + 9 * 2.0)
        by_point = {(entry['cutoff_wfc'], entry['kpoints_distance']): entry for entry in report['settings']}
        assert by_point[20, 0.4]['predicted_cost'] == by_point[20, 0.4]['actual_cost'] == 1
        assert by_point[30, 0.4]['actual_cost'] == pytest.approx(1.5)
        assert by_point[30, 0.4]['predicted_cost'] == pytest.approx(1.5**1.5)

    def test_without_times_the_cost_is_unknown(self, study):
        report = study(without=('retrieved',))
        assert (report['seconds'], report['settings'][0]['actual_cost']) == (0, None)

    def test_a_structure_that_failed_somewhere_is_left_out_and_named(self, study):
        report = study({'setting_000': {'0': {'reason': 'force_cap', 'detail': '60 eV/Å'}}})
        assert report['series']['cutoff_wfc']['frames'] == [1, 2]
        assert report['series']['cutoff_wfc']['proposal'] == 15
        (entry,) = report['left_out']
        assert (entry['cutoff_wfc'], entry['kpoints_distance'], entry['index']) == (15, 0.4, 0)
        assert (entry['uid'], entry['reason'], entry['detail']) == (FRAMES.uid[0], 'force_cap', '60 eV/Å')

    def test_no_label_at_all(self, study):
        report = study(without=('labelled',))
        assert all(series['rows'] == [] and series['proposal'] is None for series in report['series'].values())
        assert judged_again(report, Targets(9.0, 9.0, None))['series'] == report['series']

    def test_other_targets_change_the_proposal_only(self, study):
        report = study()
        again = judged_again(report, Targets(0.2, 0.01, None))
        assert again['series']['cutoff_wfc']['proposal'] == 15
        assert again['targets'] == {'energy': 0.2, 'force': 0.01, 'stress': None}
        assert again['series']['cutoff_wfc']['rows'] == report['series']['cutoff_wfc']['rows']
        assert report['series']['cutoff_wfc']['proposal'] == 20
