"""`AceTrainer`: the settings of a linear fit on the functions of the atomic cluster expansion."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from aiida_mlip_autopipe.engines.ace.files import ENGINE
from aiida_mlip_autopipe.science.linear.trainer import LinearTrainer

Functions = Literal['auto'] | Annotated[int, Field(ge=10, le=2000)]
FUNCTIONS: Final = 'basis functions per element; auto: 40 to 600, as many as the evidence is worth'


class AceTrainer(LinearTrainer):
    """Linear atomic cluster expansion, in mlip-worker; it needs `python-ace` there."""

    ENGINE = ENGINE
    MAY_LACK = True
    GONE = {'ace': 'its key functions stands in train itself'}

    trainer: Literal['mlip_autopipe.ace'] = Field(default='mlip_autopipe.ace', description='entry point of the trainer')
    functions: Functions = Field(default='auto', description=FUNCTIONS)
