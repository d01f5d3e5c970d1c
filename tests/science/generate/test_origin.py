"""Origins and lineages: sorted JSON, fresh atoms without baggage, uids that fit."""

from __future__ import annotations

import json

import numpy as np
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from aiida_mlip_autopipe.common.frames import uid_of
from aiida_mlip_autopipe.science.generate.origin import fresh_atoms, origin_text, with_lineage


def test_text_is_sorted_and_readable():
    text = origin_text('rattle', width=0.1, atoms=[1, 2])
    assert text == '{"atoms": [1, 2], "strategy": "rattle", "width": 0.1}'
    assert json.loads(text)['strategy'] == 'rattle'


def test_fresh_atoms_leave_the_baggage_behind():
    template = bulk('Fe', cubic=True)
    template.calc = EMT()
    template.set_constraint(FixAtoms([0]))
    template.info['tag'] = 1
    atoms = fresh_atoms(template, 'kind', 'origin')
    assert atoms.info == {'config_type': 'kind', 'origin': 'origin'}
    assert atoms.calc is None
    assert not atoms.constraints
    assert not atoms.has('initial_magmoms')
    for name in ('positions', 'numbers'):
        assert not np.shares_memory(getattr(atoms, name), getattr(template, name))
    assert not np.shares_memory(atoms.cell.array, template.cell.array)


def test_fresh_atoms_take_what_is_changed():
    template = bulk('Al', cubic=True)
    atoms = fresh_atoms(template, 'kind', '', numbers=[12] * 4, cell=2 * template.cell.array)
    assert atoms.get_chemical_formula() == 'Mg4'
    np.testing.assert_array_equal(atoms.cell.array, 2 * template.cell.array)
    np.testing.assert_array_equal(atoms.positions, template.positions)


def test_lineage_of_root_child_and_grandchild():
    root = with_lineage(fresh_atoms(bulk('Al'), 'sqs', ''))
    child = with_lineage(fresh_atoms(bulk('Al', a=4.1), 'strain', ''), root)
    grandchild = with_lineage(fresh_atoms(bulk('Al', a=4.2), 'rattle', ''), child)
    assert root.info['lineage'] == root.info['uid'] == uid_of(root)
    assert root.info['parent'] == ''
    assert child.info['parent'] == root.info['uid']
    assert grandchild.info['parent'] == child.info['uid']
    assert grandchild.info['lineage'] == child.info['lineage'] == root.info['uid']


def test_argument_is_left_alone():
    atoms = fresh_atoms(bulk('Al'), 'sqs', '')
    with_lineage(atoms)
    assert 'uid' not in atoms.info
