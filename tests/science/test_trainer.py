"""A trainer of another package is found by its entry point, and its section is checked like ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aiida_mlip_autopipe.science.explorer import Explorer
from aiida_mlip_autopipe.science.trainer import Trainer
from tests.their_package import said_with

THEIRS = """
from typing import Literal
from pydantic import Field
from aiida_mlip_autopipe.science.trainer import Trainer


class Morse(Trainer):
    '''Morse pairs.'''

    ENGINE = 'theirs.morse'
    trainer: Literal['theirs.morse'] = Field(default='theirs.morse', description='entry point')
    width: float = Field(default=1.0, gt=0, description='1/Å')
"""

USE = """
import json
from aiida_mlip_autopipe.common.errors import InputError
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from tests.config.settings import changed

def said(changes):
    try:
        config = MLIPConfig.from_mapping(changed(changes))
    except InputError as error:
        return str(error)
    same = MLIPConfig.from_mapping(config.to_mapping()) == config
    return [config.train.width, config.train.ENGINE, config.explore.explorer, same]

theirs = {'train.trainer': 'theirs.morse'}
print(json.dumps([said({**theirs, 'train.width': 2}), said({**theirs, 'train.width': 0}), said({**theirs, 'train.widht': 1})]))
"""


def test_another_package(tmp_path: Path) -> None:
    points = {'theirs.morse': 'their_package:Morse', 'theirs.broken': 'no_such_package:Trainer'}
    good, bad, misspelt = json.loads(said_with(tmp_path, THEIRS, Trainer.GROUP, points, USE))
    assert good == [2.0, 'theirs.morse', 'mlip_autopipe.lammps_md', True]
    assert bad == 'train.width: got 0; input should be greater than 0 (1/Å)'
    assert misspelt.startswith(
        "train.widht: unknown key; did you mean 'width'? allowed here: code, cutoff, checks, trainer, width"
    )


@pytest.mark.parametrize('name', Trainer.registered())
def test_each_says_what_a_run_has_to_know(name: str) -> None:
    settings = Trainer.registered()[name]()
    assert settings.name == name
    assert settings.ENGINE
    assert settings.EXPLORER in Explorer.registered()
