"""The command generate: table, files, contact sheet; nodes as bases; and what validate finds before a run."""

from pathlib import Path

import pytest
from aiida import orm
from ase.build import bulk
from ase.io import write

from aiida_mlip_autopipe.formats.extxyz import read_extxyz

EXAMPLES = Path(__file__).parents[2] / 'examples'
FIGURES = {'almg': 80, 'almg_long': 91, 'cuau': 85, 'nbmotaw': 470, 'mgcao': 252, 'silicon': 56, 'nial': 134}
"""Structures that each example gives in a dry run, or a few less where a shuffled alloy repeats another."""


def test_generate_counts_and_writes(run_cli, config_file, tmp_path, count_processes):
    before, path = count_processes(), tmp_path / 'frames.extxyz'
    result = run_cli('generate', config_file(), '--output', path)
    assert result.exit_code == 0
    frames = read_extxyz(path)
    total = next(line for line in result.output.splitlines() if line.startswith('total'))
    assert total.split()[1] == str(len(frames))
    assert f'from {len(set(frames.lineage.tolist()))} lineages' in total
    assert result.output.endswith(f'written to {path}\n')
    assert count_processes() == before


def test_a_dry_run_tells_strategies_counts_and_sizes(run_cli, config_file, tmp_path):
    path = tmp_path / 'frames.extxyz'
    result = run_cli('generate', config_file(), '--dry-run', '--output', path)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ['strategy', 'kept', 'tried', 'atoms', 'rejected']
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert rows['rattle'] == ['16', '16', '8']
    assert rows['vacancy'][2] == '7'
    assert 'shuffled, not annealed' in lines[-1]
    assert not path.exists()


def test_a_budget_that_stops_early_says_why(run_cli, config_file):
    sections = {'rattle': {'count': 0}, 'vacancy': {'count': 0}, 'budget': {'n_structures': 99}}
    result = run_cli('generate', config_file(generate=sections))
    assert result.exit_code == 0
    assert 'stopped: ' in result.output
    assert 'of 99 structures' in result.output


def test_generate_is_the_same_again(run_cli, config_file, tmp_path):
    uids = []
    for name in ('a.extxyz', 'b.extxyz'):
        run_cli('generate', config_file(), '--output', tmp_path / name)
        uids.append(read_extxyz(tmp_path / name).uid.tolist())
    assert uids[0] == uids[1]


def test_a_contact_sheet_shows_each_kind(run_cli, config_file, tmp_path):
    path = tmp_path / 'sheet.html'
    sections = {'dimer': {'count': 2}, 'surface': {'millers': [[1, 0, 0]]}}
    result = run_cli('generate', config_file(generate=sections), '--dry-run', '--view', path)
    assert result.exit_code == 0, result.output
    assert f'contact sheet: {path}' in result.output
    page = path.read_text(encoding='utf-8')
    for title in ('sqs · shuffle', 'strain · random', 'strain · hydrostatic', 'rattle', 'vacancy', 'surface · flat', 'dimer'):
        assert f'<b>{title}</b>' in page
    assert 'alloys were shuffled, not annealed' in page


def test_annealed_alloys_say_how_near_to_random_they_are(run_cli, config_file):
    lines = run_cli('generate', config_file()).output.splitlines()
    (line,) = [line for line in lines if line.startswith('distance of the cluster vectors from random: ')]
    low, high, middle = (float(word.strip(',')) for word in line.split() if word.strip(',').replace('.', '').isdigit())
    assert 0 <= low <= middle <= high


@pytest.mark.parametrize(('test_labels', 'end'), [(4, 'loop.test_labels is 4'), (3, 'is 3, so that a run would be refused')])
def test_how_many_test_frames_are_needed_is_told(run_cli, config_file, test_labels, end):
    """sqs, strain, rattle and vacancy of three compositions take four."""
    result = run_cli('generate', config_file(loop={'test_labels': test_labels}), '--dry-run')
    (line,) = [line for line in result.output.splitlines() if line.startswith('test set: ')]
    assert line.startswith('test set: every composition and config_type takes at least 4 frames; ')
    assert line.endswith(end)


@pytest.mark.parametrize('name', FIGURES)
def test_the_examples_are_valid_and_give_structures(run_cli, name):
    path = EXAMPLES / name / 'config.yaml'
    assert run_cli('validate', '--offline', path).output == f'{path}: valid\n'
    lines = run_cli('generate', path, '--dry-run').output.splitlines()
    (total,) = [int(line.split()[1]) for line in lines if line.startswith('total')]
    assert 0.9 * FIGURES[name] <= total <= 1.1 * FIGURES[name]


def test_every_example_is_looked_at():
    assert {path.parent.name for path in EXAMPLES.glob('*/config.yaml')} == set(FIGURES)


class TestNodes:
    def config(self, config_file, *nodes):
        return config_file(generate={'structures': {'nodes': list(nodes), 'supercells': [[2, 2, 2]]}})

    def test_a_structure_by_pk_and_one_by_uuid(self, run_cli, config_file, tmp_path):
        nodes = [orm.StructureData(ase=bulk('Cu', a=a)).store() for a in (3.5, 3.7)]
        path = tmp_path / 'out.extxyz'
        result = run_cli('generate', self.config(config_file, nodes[0].pk, nodes[1].uuid), '--output', path)
        assert result.exit_code == 0, result.output
        frames = read_extxyz(path)
        origins = frames.origin[frames.config_type == 'structure'].tolist()
        assert [node.uuid in text for node, text in zip(nodes, origins, strict=True)] == [True, True]

    def test_a_node_of_another_kind(self, run_cli, config_file):
        pk = orm.Int(1).store().pk
        result = run_cli('generate', self.config(config_file, pk))
        assert result.exit_code == 1
        assert f'generate.structures.nodes: got {pk}, a Int; expected StructureData or FramesData' in result.output

    def test_no_node(self, run_cli, config_file):
        result = run_cli('generate', self.config(config_file, 'ffffffff-none'))
        assert "generate.structures.nodes: got 'ffffffff-none'; no single node has it" in result.output


class TestValidate:
    """Everything that cannot be made is told before anything is submitted."""

    def said(self, run_cli, path):
        result = run_cli('validate', '--offline', path)
        assert result.exit_code == 1, result.output
        return result.output

    @pytest.mark.parametrize(
        ('sections', 'said'),
        [
            ({'eoss': {}}, "did you mean 'eos'?"),
            ({'extra': [{'strategy': 'x'}]}, 'generate.extra: this key is gone; a strategy of another package is a section'),
            ({'rattel': {}}, "rattel: unknown key; did you mean 'rattle'?"),
            ({'surface': {'millers': [[0, 0, 0]]}}, 'must not be (0, 0, 0)'),
            ({'strain': {'max_strain': 0.5}}, 'strain.max_strain: got 0.5; input should be less than 0.33'),
            ({'deform': {'shear': [0.4]}}, 'deform.shear.0: got 0.4; input should be less than 0.33'),
            ({'rattle': {'min_distance': 2.9}}, 'rattle: displacements of 0.1 Å do not keep the atoms of'),
            ({'interstitial': {'min_distance': 3.0}}, 'interstitial: Cu8 has no 1 site(s) at least 3.0 Å from all atoms'),
            ({'stacking_fault': {'layers': 8}}, 'stacking_fault: layers: got 8; fcc needs a multiple of 3'),
            ({'dimer': {'box': 8}}, 'dimer: box must be at least 11.44 Å for Cu, Au, got 8.0'),
            ({'amorphous': {'min_distance': 1.4}}, 'cannot be kept 1.4 times the sum of their radii apart'),
            ({'vacancy': {'concentration': 0.99}}, 'vacancies: 8 of 8 atoms cannot be removed'),
        ],
    )
    def test_a_strategy_that_cannot_do_it(self, run_cli, config_file, sections, said):
        assert said in self.said(run_cli, config_file(generate=sections))

    def test_an_element_without_radius(self, run_cli, config_file):
        heavy = {
            'elements': ['Rf'],
            'lattice_parameters': {},
            'compositions': [{'Rf': 1.0}],
            'supercells': [[2, 2, 2], [3, 2, 2]],
        }
        path = config_file(system=heavy, label={'labeller': 'mlip_autopipe.label_ase', 'calculator': 'lj'})
        assert "'Rf' is unknown to the table of radii; give its lattice parameter" in self.said(run_cli, path)

    def test_a_file_that_cannot_be_read(self, run_cli, config_file):
        path = config_file(generate={'files': {'paths': ['rubbish.cif', 'none.cif']}})
        (path.parent / 'rubbish.cif').write_text('rubbish', encoding='utf-8')
        said = self.said(run_cli, path).splitlines()
        assert [line for line in said if 'rubbish.cif: ' in line]
        assert [line for line in said if 'none.cif: ASE cannot read it (FileNotFoundError' in line]

    def test_a_file_with_another_element(self, run_cli, config_file):
        path = config_file(generate={'files': {'paths': ['a.cif']}})
        write(path.parent / 'a.cif', bulk('Ag'))
        assert "a.cif, structure 0: has ['Ag'], which elements ['Cu', 'Au'] does not list" in self.said(run_cli, path)

    def test_a_run_is_not_submitted(self, run_cli, config_file, worker_code, count_processes):
        before = count_processes()
        result = run_cli('run', config_file(generate={'files': {'paths': ['none.cif']}}))
        assert result.exit_code == 1
        assert 'none.cif: ASE cannot read it' in result.output
        assert count_processes() == before

    def test_paths_are_relative_to_the_configuration(self, run_cli, config_file, tmp_path):
        path = config_file(generate={'files': {'paths': ['a.cif']}})
        write(path.parent / 'a.cif', bulk('Cu', cubic=True))
        assert run_cli('validate', '--offline', path).exit_code == 0
        assert run_cli('generate', path, '--dry-run').output.count('files ') == 1
