"""Only the energies are shifted; `tests/data/test_potential.py` does it with the real LAMMPS."""

import pytest
from ase import Atoms
from ase.calculators.lammpsrun import LAMMPS

from aiida_mlip_autopipe.engines.lammps.shifted import ShiftedLammps


@pytest.fixture
def energies(monkeypatch):
    """Return a function that calculates with a LAMMPS that always answers 1 eV."""

    def run(self):
        self.results.update(energy=1.0, free_energy=1.0, forces='as they are')

    monkeypatch.setattr(LAMMPS, 'run', run)

    def calculate(shift, symbols):
        calculator = ShiftedLammps(energy_shift=shift, specorder=['Cu', 'Au'])
        calculator.calculate(Atoms(symbols))
        assert calculator.results['forces'] == 'as they are'
        return calculator.results['energy'], calculator.results['free_energy']

    return calculate


@pytest.mark.parametrize(
    ('shift', 'symbols', 'expected'),
    [({}, 'Cu2Au', 1.0), ({'Cu': -2.0}, 'Cu2Au', -3.0), ({'Cu': -2.0, 'Au': 10.0}, 'CuAu', 9.0)],
)
def test_energies_are_shifted_by_atom(energies, shift, symbols, expected):
    assert energies(shift, symbols) == (expected, expected)
