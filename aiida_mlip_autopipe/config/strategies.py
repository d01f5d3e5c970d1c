"""Sections of the generator: the settings of each strategy."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, field_validator, model_validator

from aiida_mlip_autopipe.common.prototypes import PROTOTYPES
from aiida_mlip_autopipe.config.base import Element, Settings
from aiida_mlip_autopipe.config.ranges import Spread
from aiida_mlip_autopipe.config.system import PrototypeName

LinearStrain = Annotated[float, Field(gt=-0.5, lt=0.5)]
Component = Annotated[float, Field(gt=-1 / 3, lt=1 / 3)]
ElasticSize = Annotated[float, Field(gt=0, lt=0.3)]
Miller = tuple[int, int, int]
Of = Annotated[list[str] | None, Field(min_length=1)]

Concentration = Annotated[float | None, Field(gt=0, lt=1)]
Push = Annotated[float | None, Field(gt=0, le=1.2)]
VoigtName = Literal['xx', 'yy', 'zz', 'yz', 'xz', 'xy']
Vector = tuple[float, float, float]
Repeats = tuple[PositiveInt, PositiveInt, PositiveInt]

TWO_SUBLATTICES: Final = tuple(name for name, crystal in PROTOTYPES.items() if crystal.n_sublattices == 2)

SMALLEST_VOLUME: Final = 1e-3
"""Å³, below which a cell is flat."""

PUSH = 'neighbours nearer than this are moved away to it, in sums of covalent radii, dimensionless; left out: they stay'
CONCENTRATION = 'defects for each atom, in place of {}, at least one in a cell, dimensionless'
OF = 'sections whose structures are the parents (bulk: all bulk bases); when left out, as the table in docs/generate.md says'


class SQSConfig(Settings):
    """Special quasirandom structures made by icet."""

    per_composition: PositiveInt = Field(default=2, description='structures for each composition and supercell')
    steps: PositiveInt = Field(default=2000, description='Monte Carlo steps for each structure')
    cutoffs: list[PositiveFloat] = Field(
        default=[5.0], min_length=1, description='Å, cluster radii: pairs first, then triplets, …'
    )
    method: Literal['icet', 'shuffle'] = Field(default='icet', description='shuffle: the random solution, without annealing')
    optimality_weight: NonNegativeFloat = Field(
        default=1.0,
        description='1/Å, what icet gives for exact matches of the first shells; 0 is often nearer to random in small cells',
    )
    random: NonNegativeInt = Field(
        default=0, description='random solutions beside the quasirandom ones, for each composition and supercell'
    )


class OrderedConfig(Settings):
    """Ordered compounds of each pair of elements: the other limit of an alloy."""

    prototypes: list[PrototypeName] = Field(
        default=[],
        description='prototypes with two sublattices; none: those of the lattice (fcc: L1_0, L1_2, D0_22; bcc: B2, D0_3; '
        'hcp: D0_19; sc: B1; diamond: B3)',
    )
    supercell: Repeats = Field(default=(2, 2, 2), description='repeats of the primitive cell of the compound')

    @field_validator('prototypes')
    @classmethod
    def check_prototypes(cls, value: list[PrototypeName]) -> list[PrototypeName]:
        """Refuse prototypes that no pair of elements fills."""
        if wrong := [name for name in value if PROTOTYPES[name].n_sublattices != 2]:
            raise ValueError(f'{wrong} have no two sublattices; allowed are {", ".join(TWO_SUBLATTICES)}')
        return value


class CellConfig(Settings):
    """One crystal, written out."""

    name: str = Field(default='', description='such as the identifier in a database')
    symbols: list[Element] = Field(min_length=1, description='chemical symbols, one for each atom')
    cell: tuple[Vector, Vector, Vector] = Field(description='Å, lattice vectors as rows')
    scaled_positions: list[Vector] = Field(min_length=1, description='in units of the lattice vectors, one for each atom')

    @model_validator(mode='after')
    def check_numbers(self) -> Self:
        """Refuse positions without atoms, and a cell without volume."""
        if len(self.symbols) != len(self.scaled_positions):
            raise ValueError(f'symbols are {len(self.symbols)}, scaled_positions are {len(self.scaled_positions)}')
        (a, b, c), (d, e, f), (g, h, i) = self.cell
        if abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) < SMALLEST_VOLUME:
            raise ValueError(f'cell has no volume: {self.cell}')
        return self


class CellsConfig(Settings):
    """A list of crystals, as bases."""

    cells: list[CellConfig] = Field(min_length=1, description='crystals, each with symbols, cell and scaled_positions')
    supercells: list[Repeats] = Field(default=[(1, 1, 1)], min_length=1, description='repeats of each crystal')


class NodesConfig(Settings):
    """Structures of AiiDA nodes, as bases."""

    nodes: list[PositiveInt | str] = Field(
        min_length=1, description='pk or uuid of nodes of the kind StructureData or FramesData; they become inputs of the job'
    )
    supercells: list[Repeats] = Field(default=[(1, 1, 1)], min_length=1, description='repeats of each structure')


class FilesConfig(Settings):
    """Structures read from files, as bases."""

    paths: list[str] = Field(
        min_length=1,
        description='files that ASE reads (CIF, POSCAR, extxyz, …), or JSON of the Materials Project, relative to the '
        'configuration; what they hold becomes an input of the job',
    )
    supercells: list[Repeats] = Field(default=[(1, 1, 1)], min_length=1, description='repeats of each structure')


class StrainConfig(Settings):
    """Symmetric strains of each base structure."""

    count: NonNegativeInt = Field(default=3, description='random strains for each base structure')
    max_strain: float = Field(default=0.03, gt=0, lt=1 / 3, description='largest strain component, dimensionless')
    hydrostatic: Annotated[list[LinearStrain], Spread] = Field(
        default=[-0.04, 0.04], description='linear strains applied along all axes alike, dimensionless'
    )
    of: Of = Field(default=None, description=OF)


class DeformConfig(Settings):
    """Strains of single directions on a grid, and general ones from a Sobol sequence."""

    uniaxial: Annotated[list[Component], Spread] = Field(
        default=[], description='strains along each of the three axes, dimensionless'
    )
    biaxial: Annotated[list[Component], Spread] = Field(
        default=[], description='strains of each pair of axes alike, dimensionless'
    )
    shear: Annotated[list[Component], Spread] = Field(
        default=[], description='off-diagonal components of the tensor, dimensionless'
    )
    grid: dict[VoigtName, Annotated[list[Component], Spread]] = Field(
        default={}, description='components of the tensor by name, all of their combinations, dimensionless; the others are 0'
    )
    general: NonNegativeInt = Field(default=0, description='strains with six components')
    max_strain: float = Field(default=0.05, gt=0, lt=1 / 3, description='largest component of the general strains, dimensionless')
    of: Of = Field(default=None, description=OF)


class EOSConfig(Settings):
    """The equation-of-state series of each base structure."""

    count: int = Field(default=11, ge=2, description='volumes, evenly spaced')
    volumes: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.25), description='smallest and largest volume in units of that of the base, dimensionless'
    )
    of: Of = Field(default=None, description=OF)

    @model_validator(mode='after')
    def check_volumes(self) -> Self:
        """Refuse a series that does not grow."""
        if self.volumes[0] >= self.volumes[1]:
            raise ValueError(f'volumes must grow, got {list(self.volumes)}')
        return self


class ElasticConfig(Settings):
    """Finite strains for elastic constants, of each base structure."""

    sizes: Annotated[list[ElasticSize], Spread] = Field(
        default=[0.005, 0.01], min_length=1, description='engineering strains, dimensionless'
    )
    of: Of = Field(default=None, description=OF)


class PhononConfig(Settings):
    """Cells with one atom displaced, by phonopy, of each base structure."""

    distance: float = Field(default=0.03, gt=0, lt=1, description='Å, length of the displacement')
    supercell: Repeats = Field(default=(1, 1, 1), description='repeats of the base')
    of: Of = Field(default=None, description=OF)


class RattleConfig(Settings):
    """Gaussian displacements of all atoms."""

    count: NonNegativeInt = Field(default=4, description='rattled structures for each base structure')
    stdev: float = Field(default=0.1, gt=0, le=1.0, description='Å, standard deviation of each coordinate')
    stdev_by_element: dict[Element, Annotated[float, Field(ge=0, le=1.0)]] = Field(
        default={}, description='Å, in place of stdev for the elements named'
    )
    temperature: NonNegativeFloat | None = Field(
        default=None, description='K; with it the standard deviations are those of the Debye or the Einstein model'
    )
    debye_temperature: PositiveFloat = Field(default=300.0, description='K')
    einstein_temperature: PositiveFloat | None = Field(
        default=None, description='K; with it the model is that of Einstein, in place of Debye'
    )
    min_distance: PositiveFloat | None = Field(
        default=None, description='Å; with it displacements that bring atoms nearer are drawn again'
    )
    of: Of = Field(default=None, description=OF)

    @model_validator(mode='after')
    def check_model(self) -> Self:
        """Refuse a model of vibrations without a temperature."""
        if self.einstein_temperature is not None and self.temperature is None:
            raise ValueError('temperature must be given with einstein_temperature, in K')
        return self


class VacancyConfig(Settings):
    """Missing atoms."""

    count: NonNegativeInt = Field(default=1, description='structures with vacancies for each base structure')
    n_vacancies: PositiveInt = Field(default=1, description='atoms taken out of each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('n_vacancies'))
    of: Of = Field(default=None, description=OF)


class DivacancyConfig(Settings):
    """Two neighbouring atoms missing."""

    count: PositiveInt = Field(default=1, description='structures for each base structure')
    per_cell: PositiveInt = Field(default=1, description='pairs taken out of each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    reach: float = Field(default=1.1, ge=1, description='longest distance of the pair in shortest distances, dimensionless')
    of: Of = Field(default=None, description=OF)


class InterstitialConfig(Settings):
    """Atoms at empty sites that are distinct by symmetry."""

    count: PositiveInt = Field(default=4, description='largest number of structures for each base structure')
    elements: list[Element] = Field(default=[], description='chemical symbols of what is added; none: the elements of the base')
    per_cell: PositiveInt = Field(default=1, description='atoms added to each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    min_distance: NonNegativeFloat = Field(default=1.0, description='Å, smallest distance of a site to an atom')
    push: Push = Field(default=None, description=PUSH)
    of: Of = Field(default=None, description=OF)


class AntisiteConfig(Settings):
    """Atoms that become another element."""

    count: PositiveInt = Field(default=1, description='structures for each base structure; none of a pure element')
    per_cell: PositiveInt = Field(default=1, description='atoms changed in each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    of: Of = Field(default=None, description=OF)


class SwapConfig(Settings):
    """Atoms of different elements that change places."""

    count: PositiveInt = Field(default=1, description='structures for each base structure; none of a pure element')
    per_cell: PositiveInt = Field(default=1, description='pairs swapped in each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    of: Of = Field(default=None, description=OF)


class FrenkelConfig(Settings):
    """Atoms that left their site for an empty one."""

    count: PositiveInt = Field(default=1, description='structures for each base structure')
    per_cell: PositiveInt = Field(default=1, description='pairs in each')
    concentration: Concentration = Field(default=None, description=CONCENTRATION.format('per_cell'))
    min_distance: NonNegativeFloat = Field(default=1.0, description='Å, smallest distance of an empty site to an atom')
    push: Push = Field(default=None, description=PUSH)
    of: Of = Field(default=None, description=OF)


class SurfaceConfig(Settings):
    """Slabs of each alloy."""

    millers: list[Miller] = Field(
        default=[(1, 0, 0), (1, 1, 0), (1, 1, 1)], min_length=1, description='Miller indices of the cubic cell (hcp: primitive)'
    )
    layers: PositiveInt = Field(default=3, description='thickness in periods along the normal')
    thickness: PositiveFloat | None = Field(default=None, description='Å; with it as many periods as are at least as thick')
    repeat: tuple[PositiveInt, PositiveInt] = Field(default=(1, 1), description='repeats in the plane')
    vacuum: PositiveFloat = Field(default=12.0, description='Å between the slab and its image')
    per_alloy: NonNegativeInt = Field(default=1, description='flat slabs of each Miller index and alloy')
    adatoms: NonNegativeInt = Field(default=0, description='slabs of each with one more atom')
    steps: NonNegativeInt = Field(default=0, description='slabs of each with half of the top layer missing')

    @model_validator(mode='after')
    def check_millers(self) -> Self:
        """Refuse the plane that is none."""
        if any(not any(miller) for miller in self.millers):
            raise ValueError(f'millers must not be (0, 0, 0), got {[list(miller) for miller in self.millers]}')
        return self


class StackingFaultConfig(Settings):
    """Faults along the gamma line of fcc or hcp, of each alloy."""

    count: PositiveInt = Field(default=4, description='slides, evenly spaced, without 0')
    longest: float = Field(
        default=1.0, gt=0, le=3, description='last slide in units of the partial Burgers vector, dimensionless'
    )
    layers: int = Field(default=6, ge=4, description='close-packed planes in the cell: a multiple of 3 for fcc, of 2 for hcp')
    repeat: tuple[PositiveInt, PositiveInt] = Field(default=(1, 1), description='repeats in the plane')


class DimerConfig(Settings):
    """Two atoms in a box, for all pairs of elements: the short-range wall."""

    count: int = Field(default=14, ge=2, description='distances for each pair, evenly spaced')
    distances: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.7, 2.0), description='shortest and longest in sums of the covalent radii, dimensionless'
    )
    box: PositiveFloat = Field(default=15.0, description='Å, edge of the cube')

    @model_validator(mode='after')
    def check_distances(self) -> Self:
        """Refuse a series that does not grow."""
        if self.distances[0] >= self.distances[1]:
            raise ValueError(f'distances must grow, got {list(self.distances)}')
        return self


class IsolatedAtomConfig(Settings):
    """One atom of each element; label makes its own for the references."""

    box: PositiveFloat = Field(default=15.0, description='Å, edge of the cube')


class AmorphousConfig(Settings):
    """Random packings of each alloy."""

    count: PositiveInt = Field(default=4, description='structures of each alloy')
    n_atoms: int = Field(default=32, ge=2, description='atoms in each')
    densities: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.8, 1.05), description='lowest and highest density in units of the crystal, dimensionless'
    )
    min_distance: float = Field(default=0.75, gt=0, lt=1.5, description='in sums of the covalent radii, dimensionless')
