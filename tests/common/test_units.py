"""Conversion factors against CODATA values typed in by hand."""

import pytest

from aiida_mlip_autopipe.common import units


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        # 1 eV = 1.602176634e-19 J exactly, so 1 GPa = 1e9 J/m³ = 1e9 * 1e-30 / 1.602176634e-19 eV/Å³.
        ('GPA', 1e9 * 1e-30 / 1.602176634e-19),
        ('BAR', 1e5 * 1e-30 / 1.602176634e-19),
        ('PICOSECOND', 1000.0),
        ('MILLI', 1000.0),
    ],
)
def test_factor(name: str, expected: float) -> None:
    # ASE uses CODATA 2014, which differs from today's values in the eighth digit.
    assert getattr(units, name) == pytest.approx(expected, rel=1e-7)


def test_pressures_agree() -> None:
    assert pytest.approx(1e4) == units.GPA / units.BAR
