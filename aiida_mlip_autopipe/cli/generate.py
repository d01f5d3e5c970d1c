"""What the command generate does: candidates made here, their table, a contact sheet; and what validate finds wrong with them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from aiida_mlip_autopipe.calculations.bases import nodes_of, write_bases
from aiida_mlip_autopipe.cli.options import load_profile
from aiida_mlip_autopipe.common.errors import InputError, MlipError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.formats.bases import located
from aiida_mlip_autopipe.formats.contact_sheet import contact_sheet
from aiida_mlip_autopipe.formats.extxyz import write_extxyz
from aiida_mlip_autopipe.formats.structures import read_structures
from aiida_mlip_autopipe.science.generate.collect import collect
from aiida_mlip_autopipe.science.generate.preflight import problems_of
from aiida_mlip_autopipe.science.generate.settings import structure_builder
from aiida_mlip_autopipe.science.generate.sieve import Tally
from aiida_mlip_autopipe.science.generate.sqs import CONFIG_TYPE, SHUFFLE, told_distances
from aiida_mlip_autopipe.science.testset import Limits, needed_for

SHUFFLED = 'dry run: alloys were shuffled, not annealed'


@dataclass(frozen=True)
class Wanted:
    """What the command generate is asked for.

    :param output: extxyz file to write.
    :param view: contact sheet to write, in HTML.
    :param dry_run: shuffle the alloys in place of annealing them: the same numbers and sizes, but for repeats, in less time.
    """

    output: Path | None = None
    view: Path | None = None
    dry_run: bool = False


def generate_here(path: Path, wanted: Wanted) -> None:
    """Make the candidates of a configuration, print what became of those of each strategy, and write what is wanted.

    :raises InputError: a mistake in the file, or no structure at all.
    """
    config = MLIPConfig.from_yaml(path)
    settings = config.generate.model_dump()
    if wanted.dry_run:
        settings['sqs']['method'] = SHUFFLE
    with beside_nodes(settings) as found:
        frames, tally = collect(structure_builder(config.system.model_dump(), found), config.seed)
    for line in [*tally_lines(tally), f'{"total":<16} {len(frames):>6}   from {len(set(frames.lineage.tolist()))} lineages']:
        click.echo(line)
    if told := quasirandom_line(frames):
        click.echo(told)
    click.echo(test_set_line(frames, config))
    if tally.stopped:
        click.echo(f'stopped: {tally.stopped}', err=True)
    if wanted.view is not None:
        if not len(frames):
            raise InputError('--view: there is no structure to show')
        notes = [f'{SHUFFLED}.'] if wanted.dry_run else []
        wanted.view.write_text(contact_sheet(config.name, frames, table_of(tally), notes), encoding='utf-8')
        click.echo(f'contact sheet: {wanted.view}')
    if wanted.dry_run:
        click.echo(f'{SHUFFLED}; no structures are written')
    elif wanted.output is not None:
        write_extxyz(wanted.output, frames)
        click.echo(f'written to {wanted.output}')


def table_of(tally: Tally) -> list[dict[str, Any]]:
    """Return the table of strategies: how many structures each made and kept, their sizes, and why the others went."""
    rows = []
    for name, step in tally.steps.items():
        low, high = step.sizes
        reasons = ', '.join(f'{count} {reason}' for reason, count in sorted(step.rejected.items()))
        atoms = f'{low}' if low == high else f'{low}-{high}'
        rows.append({'strategy': name, 'kept': step.kept, 'tried': step.tried, 'atoms': atoms, 'rejected': reasons})
    return rows


def tally_lines(tally: Tally) -> list[str]:
    """Return the table of strategies as lines of text."""
    lines = [f'{"strategy":<16} {"kept":>6} {"tried":>6}   atoms     rejected']
    for row in table_of(tally):
        line = f'{row["strategy"]:<16} {row["kept"]:>6} {row["tried"]:>6}   {row["atoms"]:<9} {row["rejected"]}'
        lines.append(line.rstrip())
    return lines


def quasirandom_line(frames: Frames) -> str:
    """Return how far the cluster vectors of the annealed structures are from that of the random alloy, or ''."""
    distances = told_distances(frames.origin[frames.config_type == CONFIG_TYPE].tolist())
    if not distances:
        return ''
    middle = distances[len(distances) // 2]
    return f'distance of the cluster vectors from random: {distances[0]:.3f} to {distances[-1]:.3f}, median {middle:.3f}'


def test_set_line(frames: Frames, config: MLIPConfig) -> str:
    """Return how many test frames every composition and config_type of the candidates needs, and how many there will be."""
    select, checks = config.select, config.generate.checks
    limits = Limits(select.min_bond_fraction, select.max_skew, select.volume_window, checks.duplicate_tolerance)
    least, wanted = needed_for(frames, limits), config.loop.test_labels
    told = f'test set: every composition and config_type takes at least {least} frames; loop.test_labels is {wanted}'
    return told if wanted >= least else f'{told}, so that a run would be refused'


@contextmanager
def beside_nodes(generate: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the settings of the generator with the structures of AiiDA nodes written to files, as a job gets them.

    :param generate: fields of `GeneratorConfig`.
    :raises InputError: there is no profile, or it has no such node.
    """
    with tempfile.TemporaryDirectory() as scratch:
        if generate.get('structures'):
            load_profile()
            write_bases(nodes_of(generate), Path(scratch))
        yield located(generate, Path(scratch))


def check_generation(config: MLIPConfig, *, offline: bool = False) -> None:
    """Make a trial structure of each strategy, and read the files of structures.

    :param offline: leave out the nodes of AiiDA.
    :raises InputError: one line for each problem.
    """
    settings = config.generate.model_dump()
    if offline:
        settings['structures'] = None
    problems = []
    for text in settings['files']['paths'] if settings['files'] else ():
        try:
            read_structures(Path(text))
        except MlipError as error:
            problems.append(str(error))
    with beside_nodes(settings) as found:
        builder = structure_builder(config.system.model_dump(), found)
        problems += [problem for problem in problems_of(builder, np.random.default_rng(0)) if problem not in problems]
    if problems:
        raise InputError('\n'.join(f'generate: {problem}' for problem in problems))
