"""Script for the Python of Pacemaker: recorded inputs that fail, run by the real program in children that share one import.

`python pacemaker_failures.py FAILURES DATA OUT CASE…` leaves `OUT/CASE/err` and `OUT/CASE/rc` for each case.
"""

import os
import runpy
import shutil
import sys
import traceback
from pathlib import Path

import numpy as np
import pandas as pd


def data_sets(folder, source):
    """Write the data sets that the recorded inputs name: the first ten structures of `source`, each broken in its way."""
    good = pd.read_pickle(source, compression='gzip').head(10)

    def write(name, table):
        table.to_pickle(folder / f'{name}.pckl.gzip', compression='gzip', protocol=4)

    def changed(column, value):
        table = good.copy(deep=True)
        table[column] = [value if index == 0 else old for index, old in enumerate(table[column])]
        return table

    mixed, near = good['ase_atoms'].iloc[0].copy(), good['ase_atoms'].iloc[0].copy()
    mixed.pbc = [True, True, False]
    near.positions[1] = near.positions[0]
    forces = np.array(good['forces'].iloc[0])
    write('ok', good)
    write('badf', changed('forces', forces[:, :2]))
    write('nanf', changed('forces', np.where(np.arange(len(forces))[:, None] == 0, np.nan, forces)))
    write('nane', changed('energy_corrected', np.nan))
    write('pbc', changed('ase_atoms', mixed))
    write('dup', changed('ase_atoms', near))
    write('noforces', good.drop(columns='forces'))
    write('noatoms', good.drop(columns='ase_atoms'))
    write('noenergy', good.drop(columns=[name for name in good if name.startswith('energy')]))
    write('empty', good.head(0))
    write(
        'dft', good.assign(energy_corrected=good['energy_corrected'] - 540.0 * 32, energy=good['energy_corrected'] - 540.0 * 32)
    )
    (folder / 'garbage.pckl.gzip').write_text('no data set')


def run(case, recorded, out):
    """Run the real program on one input; never returns."""
    os.chdir(out / case)
    shutil.copy(recorded / case / 'input.yaml', 'input.yaml')
    log = os.open('err', os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ['pacemaker', 'input.yaml']
    code = 0
    try:
        runpy.run_path(str(Path(sys.executable).with_name('pacemaker')), run_name='__main__')
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stderr.flush()
    Path('rc').write_text(str(code))
    os._exit(0)


def main(recorded, source, out, cases):
    import pyace.cli.pacemaker  # noqa: F401, PLC0415  # once for all children
    import tensorflow as tf  # noqa: PLC0415
    import tensorpotential.compat.pace.fit  # noqa: F401, PLC0415

    tf.config.run_functions_eagerly(True)  # two cases are fits of few steps
    data_sets(out, source)
    for case in cases:
        (out / case).mkdir()
        for path in out.glob('*.pckl.gzip'):
            (out / case / path.name).symlink_to(path)
        child = os.fork()
        if not child:
            run(case, recorded, out)
        os.waitpid(child, 0)


if __name__ == '__main__':
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
