"""Streams gathered into frames, and the report of what became of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from aiida_mlip_autopipe.science.generate.builder import StructureBuilder
from aiida_mlip_autopipe.science.generate.collect import CHUNK, collect, gathered, tally_report
from aiida_mlip_autopipe.science.generate.rattle import Rattle
from aiida_mlip_autopipe.science.generate.sieve import Tally
from aiida_mlip_autopipe.science.generate.sqs import SQS
from aiida_mlip_autopipe.science.generate.strategy import Step, System

SYSTEM = System(('Al', 'Mg'), 'fcc', (({'Al': 0.5, 'Mg': 0.5},),), {'Al': 4.05, 'Mg': 4.5}, ((2, 2, 2),))
BUILDER = StructureBuilder(
    SYSTEM, (Step('sqs', SQS(per_composition=1, method='shuffle')), Step('rattle', Rattle(count=5, stdev=0.1)))
)


def test_frames_are_the_stream_in_its_order() -> None:
    frames, tally = collect(BUILDER, 3)
    stream = list(BUILDER.build(np.random.default_rng(3)))
    assert frames.uid.tolist() == [atoms.info['uid'] for atoms in stream]
    assert frames.origin.tolist() == [atoms.info['origin'] for atoms in stream]
    np.testing.assert_array_equal(frames.positions, np.concatenate([atoms.positions for atoms in stream]))
    assert tally.kept == len(frames) == 6


def test_more_than_one_chunk() -> None:
    def numbered() -> Iterator[Atoms]:
        for number in range(2 * CHUNK + 3):
            yield Atoms('Al', cell=np.eye(3) * (3.0 + 0.01 * number), pbc=True)

    frames = gathered(numbered())
    np.testing.assert_allclose(frames.cells[:, 0, 0], 3.0 + 0.01 * np.arange(2 * CHUNK + 3))


def test_an_empty_stream() -> None:
    assert len(gathered(iter(()))) == 0


def test_report() -> None:
    tally = Tally()
    for n_atoms, reason in ((8, ''), (4, ''), (5, 'short_bond'), (6, 'equivalent'), (6, 'equivalent')):
        tally.of('rattle').add(n_atoms, reason)
    tally.of('vacancy').add(7, 'not_finite')
    assert tally_report(tally) == {
        'rattle': {'tried': 5, 'kept': 2, 'rejected': {'equivalent': 2, 'short_bond': 1}, 'n_atoms': [4, 8]},
        'vacancy': {'tried': 1, 'kept': 0, 'rejected': {'not_finite': 1}, 'n_atoms': [0, 0]},
    }
