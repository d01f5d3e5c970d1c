"""A package of somebody else, as pip would install it: a module and its entry points."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def said_with(folder: Path, module: str, group: str, points: dict[str, str], program: str) -> str:
    """Return what a program prints in a Python where `their_package` is installed.

    :param folder: where it is put.
    :param module: text of `their_package.py`.
    :param points: target of each entry point of the group.
    """
    (folder / 'their_package.py').write_text(module, encoding='utf-8')
    record = folder / 'their_package-1.0.dist-info'
    record.mkdir()
    (record / 'METADATA').write_text('Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n', encoding='utf-8')
    lines = [f'[{group}]', *(f'{name} = {target}' for name, target in points.items())]
    (record / 'entry_points.txt').write_text('\n'.join(lines) + '\n', encoding='utf-8')
    environment = {**os.environ, 'PYTHONPATH': f'{folder}:{ROOT}'}
    done = subprocess.run([sys.executable, '-c', program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
