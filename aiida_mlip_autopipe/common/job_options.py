"""`JobOptions`: what a job asks of the scheduler."""

from __future__ import annotations

from pydantic import Field, PositiveInt

from aiida_mlip_autopipe.common.settings import Settings


class JobOptions(Settings):
    """What a job asks of the scheduler."""

    num_machines: PositiveInt = Field(default=1, description='nodes')
    mpi_processes: PositiveInt = Field(default=1, description='MPI processes on each node')
    walltime: PositiveInt = Field(default=3600, description='s, longest run time of one job')
    queue: str | None = Field(default=None, description='queue or partition of the scheduler')
    account: str | None = Field(default=None, description='account that the scheduler charges')
