"""AiiDA takes seconds to import and to set up: its fixtures are loaded with the first folder of tests that needs them."""

import os
import sys
from pathlib import Path

AIIDA_FOLDERS = ('data', 'calculations', 'parsers', 'workflows', 'cli')
FIXTURES = 'tests.aiida_fixtures'
DEAR = ('daemon', 'espresso', 'pacemaker')
"""Markers of tests that take long."""


# AiiDA looks for `verdi` when it is imported; without it no daemon starts from an environment that is not activated.
PROGRAMS = str(Path(sys.executable).parent)
if PROGRAMS not in os.environ['PATH'].split(os.pathsep):
    os.environ['PATH'] = os.pathsep.join([PROGRAMS, os.environ['PATH']])


def pytest_pycollect_makemodule(module_path, parent):
    if module_path.parent in [Path(__file__).parent / name for name in AIIDA_FOLDERS]:
        parent.config.pluginmanager.import_plugin(FIXTURES)


def pytest_collection_modifyitems(items):
    """Put the files with such tests first: side by side, a long file that begins last ends long after all others."""
    long = {item.path for item in items if any(map(item.get_closest_marker, DEAR))}
    items.sort(key=lambda item: item.path not in long)
