"""`AceConfig`: what only linear ACE has: the size of its basis."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from aiida_mlip_autopipe.common.settings import Settings


class AceConfig(Settings):
    """Basis of the linear atomic cluster expansion; cutoff, weights, ridge and core stand beside it, as for POD."""

    functions: Literal['auto'] | Annotated[int, Field(ge=10, le=2000)] = Field(
        default='auto', description='basis functions per element; auto: 40 to 600, as many as the evidence is worth'
    )
