"""The contact sheet: one card of each kind, the most mixed structure, its defects, and nothing from elsewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.formats.contact_sheet import contact_sheet, marks_of, one_of_each
from aiida_mlip_autopipe.science.generate.antisite import Antisites
from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.divacancy import Divacancies
from aiida_mlip_autopipe.science.generate.frenkel import FrenkelPairs
from aiida_mlip_autopipe.science.generate.interstitial import Interstitials
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strain import Strain
from aiida_mlip_autopipe.science.generate.strategy import Step, System
from aiida_mlip_autopipe.science.generate.swap import Swaps

SYSTEM = System(('Al', 'Mg'), 'fcc', (({'Al': 1.0},), ({'Al': 0.5, 'Mg': 0.5},)), {'Al': 4.05, 'Mg': 4.5}, ((3, 2, 2),))
STRATEGIES = {
    'sqs': SQS(per_composition=1, method='shuffle'),
    'strain': Strain(count=2, max_strain=0.05, hydrostatic=(0.02,)),
    'divacancy': Divacancies(count=1),
    'interstitial': Interstitials(count=1),
    'antisite': Antisites(count=1, per_cell=2),
    'swap': Swaps(count=3),
    'frenkel': FrenkelPairs(count=1),
}
TABLE = [{'strategy': 'sqs', 'kept': 2, 'tried': 3, 'atoms': '8', 'rejected': '1 <equivalent>'}]


@pytest.fixture(scope='module')
def frames() -> Frames:
    steps = tuple(Step(name, strategy) for name, strategy in STRATEGIES.items())
    return Frames.from_atoms(StructureBuilder(SYSTEM, steps).build(np.random.default_rng(0)))


def test_one_of_each_is_the_most_mixed(frames: Frames) -> None:
    chosen = one_of_each(frames)
    kinds = [str(frames.config_type[index]) for index, _ in chosen]
    assert kinds == ['sqs', 'sqs', 'strain', 'strain', 'divacancy', 'interstitial', 'frenkel', 'antisite', 'swap']
    assert sum(count for _, count in chosen) == len(frames)
    assert all(len(np.unique(frames.numbers[frames.rows(index)])) == 2 for index, _ in chosen[1:])


@pytest.mark.parametrize(
    ('kind', 'here', 'empty'),
    [('divacancy', 0, 2), ('interstitial', 1, 0), ('antisite', 2, 0), ('swap', 2, 0), ('frenkel', 1, 1)],
)
def test_defects_are_marked(frames: Frames, kind: str, here: int, empty: int) -> None:
    index = int(np.flatnonzero(frames.config_type == kind)[0])
    marks = marks_of(frames, index)
    assert [mark.is_empty for mark in marks].count(True) == empty
    assert len(marks) == here + empty
    places = np.array([mark.place for mark in marks if not mark.is_empty]).reshape(-1, 3)
    for place in places:  # an atom is there
        assert np.linalg.norm(frames.positions[frames.rows(index)] - place, axis=1).min() < 1e-5


class Checker(HTMLParser):
    VOID = ('meta', 'circle', 'path', 'stop', 'br')

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        """Take a tag that closes itself."""

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_well_formed(frames: Frames) -> None:
    page = contact_sheet('a <name>', frames, TABLE, ['A note.'])
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    addresses = [address for address in re.findall(r'https?://[^"\' ]+', page) if 'w3.org' not in address]
    assert addresses == []
    assert 'a &lt;name&gt;' in page
    assert '1 &lt;equivalent&gt;' in page
    assert page.count('<figure>') == len(one_of_each(frames))
    assert f'{len(frames)} structures from 2 lineages. A note.' in page
    assert re.findall(r'<radialGradient id="(z\d+)"', page) == ['z12', 'z13']  # the shading of each element
    assert set(re.findall(r'url\(#(z\d+)\)', page)) == {'z12', 'z13'}
    assert '<div>Al<sub>6</sub>Mg<sub>6</sub></div>' in page
