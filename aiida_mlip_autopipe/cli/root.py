"""The command `mlip-auto`: from validate and generate to run, properties, report, export and setup, one function each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from aiida_mlip_autopipe import __version__
from aiida_mlip_autopipe.cli.options import CONFIG, fail_with_one_sentence, load_profile, process_argument
from aiida_mlip_autopipe.common.reasons import Reason


@click.group(context_settings={'help_option_names': ['-h', '--help']})
@click.version_option(__version__, prog_name='mlip-auto')
def main() -> None:
    """From a description of a material to a trained, tested interatomic potential.

    A run is described by one YAML file; examples/almg/config.yaml is a complete one.
    """


@main.command()
@CONFIG
@click.option('--offline', is_flag=True, help='Check the file only, not what this AiiDA profile has.')
@fail_with_one_sentence
def validate(config: Path, offline: bool) -> None:
    """Check CONFIG, and that this profile has the codes and pseudopotentials it names. Submits nothing."""
    from aiida_mlip_autopipe.cli.generate import check_generation
    from aiida_mlip_autopipe.config.pipeline import MLIPConfig

    checked = MLIPConfig.from_yaml(config)
    checked.require_first_round()
    if not offline:
        load_profile()
    check_generation(checked, offline=offline)
    warnings = checked.explore.warnings
    if not offline:
        from aiida_mlip_autopipe.workflows.edge import run_inputs, warnings_of

        warnings = warnings_of(checked, run_inputs(checked))
    for warning in warnings:
        click.echo(f'warning: {warning}', err=True)
    click.echo(f'{config}: valid')


@main.command()
@CONFIG
@click.option('--output', type=click.Path(dir_okay=False, path_type=Path), help='Write the structures to this extxyz file.')
@click.option('--view', type=click.Path(dir_okay=False, path_type=Path), help='Write an HTML page with a picture of each kind.')
@click.option('--dry-run', is_flag=True, help='Shuffle the alloys in place of annealing them, and write no structures.')
@fail_with_one_sentence
def generate(config: Path, output: Path | None, view: Path | None, dry_run: bool) -> None:
    """Make the candidate structures of CONFIG on this machine and count them. Submits nothing."""
    from aiida_mlip_autopipe.cli.generate import Wanted, generate_here

    generate_here(config, Wanted(output, view, dry_run))


@main.command('import')
@click.argument('path', metavar='FILE', type=click.Path(path_type=Path))
@click.option('--theory', multiple=True, metavar='KEY=VALUE', help='Level of theory of the labels; may be repeated.')
@fail_with_one_sentence
def import_structures(path: Path, theory: tuple[str, ...]) -> None:
    """Store the structures of FILE (extxyz, ase.db, VASP, pw.x, Pacemaker's pckl.gzip, CIF, …), with their labels."""
    from aiida_mlip_autopipe.cli.importing import import_file

    import_file(path, theory)


def targets(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that replace the targets of a convergence study."""
    for name, unit in (('stress', 'GPa'), ('force', 'meV/Å'), ('energy', 'meV/atom, of energy differences')):
        command = click.option(f'--target-{name}', type=float, help=f'{unit}; in place of the configured target.')(command)
    return command


PLOT = click.option('--plot', type=click.Path(dir_okay=False, path_type=Path), help='Write a figure: .png, .svg or .pdf.')


@main.command()
@CONFIG
@targets
@PLOT
@click.option('--wait', is_flag=True, help='Wait for the end and print the tables and the proposal.')
@click.option('--dry-run', is_flag=True, help='Only count the calculations and say what they would cost. Submits nothing.')
@fail_with_one_sentence
def converge(config: Path, plot: Path | None, wait: bool, dry_run: bool, **asked: float | None) -> None:
    """Find the cutoff and the k-points that CONFIG needs: series of pw.x runs on a few of its structures."""
    from aiida_mlip_autopipe.cli.converge import AskedTargets, show_plan, submit_converge

    if dry_run:
        show_plan(config)
    else:
        submit_converge(config, AskedTargets.of_options(asked), plot=plot, wait=wait)


@main.command('converge-report')
@process_argument
@targets
@PLOT
@fail_with_one_sentence
def converge_report(pk: str, plot: Path | None, **asked: float | None) -> None:
    """Print the tables and the proposal of the convergence study PK (or uuid), also for other targets."""
    from aiida_mlip_autopipe.cli.converge import AskedTargets, show_report

    show_report(pk, AskedTargets.of_options(asked), plot)


@main.command()
@CONFIG
@click.option('--one-shot', is_flag=True, help='Generate, select, label and train once, without exploring.')
@click.option('--wait', is_flag=True, help='Wait for the end, report each round, and print a summary.')
@fail_with_one_sentence
def run(config: Path, one_shot: bool, wait: bool) -> None:
    """Submit the run that CONFIG describes to the daemon."""
    from aiida_mlip_autopipe.cli.commands import submit_run

    submit_run(config, one_shot=one_shot, wait=wait)


@main.command('run-cycle-02')
@CONFIG
@click.option('--wait', is_flag=True, help='Wait for the end and print a summary.')
@fail_with_one_sentence
def run_cycle_02(config: Path, wait: bool) -> None:
    """Do the same as `run --one-shot`."""
    from aiida_mlip_autopipe.cli.commands import submit_run

    submit_run(config, one_shot=True, wait=wait)


@main.command()
@click.argument('frames_pk', metavar='FRAMES_PK')
@CONFIG
@click.option('--test', metavar='FRAMES_PK', help='Frozen test set; without it whole lineages of the frames are set aside.')
@click.option('--references', metavar='FRAMES_PK', help='Isolated atoms; without it those among the frames.')
@click.option('--wait', is_flag=True, help='Wait for the end and print errors and checks.')
@fail_with_one_sentence
def train(frames_pk: str, config: Path, test: str | None, references: str | None, wait: bool) -> None:
    """Fit a potential to the labelled frames FRAMES_PK with the settings of CONFIG, and check it."""
    from aiida_mlip_autopipe.cli.train import submit_train

    submit_train(frames_pk, config, test=test, references=references, wait=wait)


@main.command()
@click.argument('potential_pk', metavar='POTENTIAL_PK')
@CONFIG
@click.option('--starts', metavar='FRAMES_PK', help='Start structures; without it structures of the training set.')
@click.option('--wait', is_flag=True, help='Wait for the end and print a summary.')
@fail_with_one_sentence
def explore(potential_pk: str, config: Path, starts: str | None, wait: bool) -> None:
    """Run MD with the potential POTENTIAL_PK as CONFIG says, and collect what it does not know."""
    from aiida_mlip_autopipe.cli.explore import submit_explore

    submit_explore(potential_pk, config, starts, wait)


@main.command()
@click.argument('potential_pk', metavar='POTENTIAL_PK')
@click.argument('frames', metavar='FRAMES_PK|FILE.extxyz')
@click.option('--code', default='mlip-worker@localhost', show_default=True, help='AiiDA code of mlip-worker.')
@click.option('--wait', is_flag=True, help='Wait for the end and print errors and grades.')
@fail_with_one_sentence
def evaluate(potential_pk: str, frames: str, code: str, wait: bool) -> None:
    """Let LAMMPS evaluate the potential POTENTIAL_PK on frames: energies, forces, stresses and grades."""
    from aiida_mlip_autopipe.cli.train import submit_evaluate

    submit_evaluate(potential_pk, frames, code=code, wait=wait)


@main.command()
@click.argument('potential_pk', metavar='POTENTIAL_PK')
@CONFIG
@click.option('--wait', is_flag=True, help='Wait for the end and print the table.')
@fail_with_one_sentence
def properties(potential_pk: str, config: Path, wait: bool) -> None:
    """Compare the potential POTENTIAL_PK with the labeller of CONFIG: equation of state, elastic constants, defects."""
    from aiida_mlip_autopipe.cli.properties import submit_properties

    submit_properties(potential_pk, config, wait=wait)


@main.command(epilog='\b\nWhy a frame has no label:\n' + '\n'.join(f'{reason}: {reason.sentence}' for reason in Reason))
@process_argument
@fail_with_one_sentence
def status(pk: str) -> None:
    """Show how far the run PK (or uuid) is: rounds with their counts, errors, and why it stopped."""
    from aiida_mlip_autopipe.cli.commands import show_status

    show_status(pk)


@main.command()
@process_argument
@click.option('--output', type=click.Path(dir_okay=False, path_type=Path), default=Path('report.html'), show_default=True)
@fail_with_one_sentence
def report(pk: str, output: Path) -> None:
    """Write what the run, selection or comparison PK (or uuid) did into one HTML page: funnel, labels, errors, properties."""
    from aiida_mlip_autopipe.cli.report_page import write_report

    write_report(pk, output)


@main.command()
@process_argument
@click.option('--db', type=click.Path(dir_okay=False, path_type=Path), help='Mirror all labelled frames to this ase.db file.')
@click.option('--extxyz', type=click.Path(dir_okay=False, path_type=Path), help='Write all labelled frames to this file.')
@click.option('--potential', type=click.Path(file_okay=False, path_type=Path), help='Write the potential into this folder.')
@click.option('--round', 'number', type=click.IntRange(min=0), help='Potential of this round; the result of the run without.')
@fail_with_one_sentence
def export(pk: str, db: Path | None, extxyz: Path | None, potential: Path | None, number: int | None) -> None:
    """Write the labelled frames and the potential of the run PK (or uuid) to files. Safe to repeat: adds only what is new."""
    from aiida_mlip_autopipe.cli.export import export_run

    export_run(pk, db=db, extxyz=extxyz, potential=potential, number=number)


@main.command()
@click.option('--pw', type=click.Path(path_type=Path), help='Path of pw.x; looked up in PATH when not given.')
@click.option(
    '--pseudo', 'pseudos', multiple=True, type=click.Path(path_type=Path), help='UPF file of the family; may be repeated.'
)
@click.option('--family', default='mlip-demo-lda', show_default=True, help='Label of the pseudopotential family.')
@click.option('--slurm', is_flag=True, help='Also the computer slurm, whose jobs go through the Slurm of this machine.')
@click.option('--pacemaker', type=click.Path(path_type=Path), help='Path of pacemaker in an environment with TensorFlow.')
@fail_with_one_sentence
def setup(pw: Path | None, pseudos: tuple[Path, ...], family: str, slurm: bool, pacemaker: Path | None) -> None:
    """Give this profile the computer localhost, the codes and a pseudopotential family. Safe to repeat."""
    from aiida_mlip_autopipe.cli.setup import set_up_profile

    set_up_profile(pw=pw, pseudos=pseudos, family=family, slurm=slurm, pacemaker=pacemaker)
