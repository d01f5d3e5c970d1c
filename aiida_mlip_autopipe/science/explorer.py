"""`Explorer`: the MD runs that look for what the potential does not know. Its settings are the section `explore`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from aiida_mlip_autopipe.common.plugin import Plugin
from aiida_mlip_autopipe.common.units import GPA
from aiida_mlip_autopipe.science.md.records import MdSettings

EXPLORER: Final = 'entry point of the process that runs the MD; after train.trainer when not given'

MAX_TIMESTEP = 10.0
"""fs; no atom moves through its nearest neighbour below this, above it nothing integrates."""

LONG_TIMESTEP = 5.0
"""fs; above this the vibrations of most solids are integrated badly, which is worth a warning."""

RUN_FIELDS: Final = (
    'steps',
    'timestep',
    'check_interval',
    'gamma_select',
    'gamma_halt',
    'max_candidates',
    'temperature_end',
    'barostat',
    'min_bond_fraction',
    'volume_window',
    'quench',
    'quench_steps',
    'quench_temperature',
)
"""Fields of `Explorer` that are the conditions of a run, whatever runs it."""

MOST_WARMUP = 0.25
"""Share of a trajectory that the warm-up may take."""

Pressure = Annotated[float, Field(ge=-50, le=1000)]
"""GPa."""


class Explorer(Plugin):
    """Settings that every explorer has; a subclass has a field `explorer`, a `Literal` of its entry point, and what is its own.

    Its process has the inputs `code`, `potential`, `starts`, `temperature` (K), `settings`, `seed`, `round` and, where the
    settings have `pressures`, `pressure` (GPa). It gives `report` and, where it has any, `candidates`, `candidate_grades` and
    `uncut`. With a field `samples` it can give frames whatever their grade; where it has none, mlip-worker does that.
    """

    GROUP = 'mlip_autopipe.explorers'
    SECTION = 'explore'
    KEY = 'explorer'
    DEFAULT = 'mlip_autopipe.lammps_md'

    ENGINES: ClassVar[tuple[str, ...] | None] = None
    """Of the potentials that it runs, see `engines.lammps.engine`; None: all of them."""

    code: str | None = Field(
        default=None, description='label of the AiiDA code of the explorer, such as that of lmp; null: that of mlip-worker'
    )
    starts: PositiveInt = Field(default=4, description='start structures in each round, taken from the training lineages')
    supercell: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(1, 1, 1), description='repeats of the start structures; candidates keep this size up to max_atoms'
    )
    temperatures: list[PositiveFloat] = Field(
        default=[300.0], min_length=1, description='K, rising: the ladder; every start runs at each of them'
    )
    temperature_end: PositiveFloat | None = Field(
        default=None, description='K, end of a linear ramp of the thermostat from each of the temperatures; null: no ramp'
    )
    pressure: Pressure | None = Field(default=0.0, description='GPa, constant pressure (NPT); null: constant volume (NVT)')
    pressures: list[Pressure] | None = Field(
        default=None, min_length=1, description='GPa, several constant pressures in place of pressure; null: pressure alone'
    )
    barostat: Literal['isotropic', 'anisotropic'] = Field(
        default='isotropic', description='whether a pressure scales the cell alike in all directions or each lattice vector'
    )
    seeds: int = Field(
        default=1, ge=1, le=20, description='trajectories with different velocities at each start, temperature and pressure'
    )
    steps: PositiveInt = Field(default=2000, description='MD steps of each trajectory')
    timestep: float = Field(default=2.0, gt=0, le=MAX_TIMESTEP, description='fs; above 5 fs there is a warning')
    quench: Literal['none', 'minimize', 'cool'] = Field(
        default='none', description='after the MD: nothing, a relaxation of the atoms in the last cell, or cooling'
    )
    quench_steps: PositiveInt = Field(default=1000, description='largest number of steps of the relaxation or of the cooling')
    quench_temperature: PositiveFloat = Field(default=50.0, description='K, end of the cooling')
    check_interval: PositiveInt = Field(default=10, description='MD steps between two looks at the grade')
    gamma_select: float = Field(default=2.0, ge=1, description='grade above which a frame is a candidate, dimensionless')
    gamma_halt: float = Field(default=10.0, gt=1, description='grade above which a trajectory stops, dimensionless')
    min_bond_fraction: float = Field(
        default=0.4, ge=0, lt=1, description='shortest bond below which a trajectory stops, in sums of covalent radii; 0: never'
    )
    volume_window: tuple[NonNegativeFloat, PositiveFloat] = Field(
        default=(0.6, 1.6), description='volume over that of the start at which a trajectory stops, dimensionless'
    )
    warmup: NonNegativeFloat = Field(
        default=1000.0,
        description='fs at the beginning in which the temperature may swing and the grade is reported apart; '
        'at most a quarter of the trajectory',
    )
    max_candidates: PositiveInt = Field(default=20, description='candidates kept of each trajectory')
    max_atoms: PositiveInt = Field(default=200, description='atoms above which a periodic cell is cut out of a candidate')

    @model_validator(mode='after')
    def check_order(self) -> Self:
        """Refuse thresholds in the wrong order, temperatures that do not rise and trajectories that are never looked at."""
        if self.gamma_halt <= self.gamma_select:
            raise ValueError(f'gamma_halt {self.gamma_halt:g} must be larger than gamma_select {self.gamma_select:g}')
        if sorted(set(self.temperatures)) != self.temperatures:
            raise ValueError(f'temperatures must rise, got {self.temperatures}')
        if not self.volume_window[0] < 1 < self.volume_window[1]:
            raise ValueError(f'volume_window must have 1 between its two numbers, got {list(self.volume_window)}')
        if self.check_interval > self.steps:
            raise ValueError(f'check_interval {self.check_interval} must not exceed steps {self.steps}')
        return self

    @model_validator(mode='after')
    def check_pressures(self) -> Self:
        """Refuse pressures that contradict each other: `pressure` may keep its default beside `pressures`, or be one of them."""
        if self.pressures is None:
            return self
        if len(set(self.pressures)) != len(self.pressures):
            raise ValueError(f'pressures must differ, got {self.pressures}')
        if self.pressure is None or (self.pressure != 0.0 and self.pressure not in self.pressures):
            raise ValueError(f'pressure {self.pressure} contradicts pressures {self.pressures}; give one of the two')
        return self

    @model_validator(mode='after')
    def check_cooling(self) -> Self:
        """Refuse a cooling that would heat."""
        coldest = min(self.temperatures) if self.temperature_end is None else self.temperature_end
        if self.quench == 'cool' and self.quench_temperature >= coldest:
            raise ValueError(
                f'quench_temperature {self.quench_temperature:g} must be lower than {coldest:g}, where the cooling begins'
            )
        return self

    def conditions(self, temperature: float, pressure: float | None, seed: int, *, journal: str = '') -> MdSettings:
        """Return the conditions of a run, whatever runs it.

        :param temperature: K.
        :param pressure: GPa; None: the one in the settings.
        :param seed: of the velocities.
        :param journal: see :class:`MdSettings`.
        """
        held = self.pressure if pressure is None else pressure
        return MdSettings(
            temperature=temperature,
            pressure=None if held is None else held * GPA,
            seed=seed,
            journal=journal,
            warmup=int(min(self.warmup / self.timestep, MOST_WARMUP * self.steps)),
            samples=getattr(self, 'samples', 0),
            **{name: getattr(self, name) for name in RUN_FIELDS},
        )

    @property
    def warnings(self) -> list[str]:
        """Sentences on settings that are allowed but seldom wise."""
        if self.timestep <= LONG_TIMESTEP:
            return []
        return [
            f'explore.timestep: {self.timestep:g} fs is longer than {LONG_TIMESTEP:g} fs: '
            'vibrations may be integrated badly and trajectories stopped for that reason alone'
        ]
