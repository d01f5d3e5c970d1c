"""The names in the record of a potential and those of LAMMPS must not drift apart."""

from aiida_mlip_autopipe.common.engines import PACE, PACE_GRADE_STYLE, POD
from aiida_mlip_autopipe.formats import pace_md, pacemaker
from aiida_mlip_autopipe.science.force_sources import GRADE_FIX, SOURCES
from aiida_mlip_autopipe.science.pair_styles import PACKAGES


def test_every_engine_has_a_source_of_its_grade():
    assert set(SOURCES) == {POD, PACE}
    assert pacemaker.ENGINE == PACE


def test_the_grade_has_one_name_in_md_and_in_evaluations():
    assert pacemaker.grade_lines(['Al'])[0] == f'pair_style {PACE_GRADE_STYLE}'
    assert f'f_{GRADE_FIX}' == pace_md.GRADE_COLUMN
    assert PACKAGES[PACE_GRADE_STYLE] == 'ML-PACE'
