"""AiiDA takes seconds to import and to set up: its fixtures are loaded with the first folder of tests that needs them."""

import os
import sys
from pathlib import Path

AIIDA_FOLDERS = ('data', 'calculations', 'parsers', 'workflows', 'cli')
FIXTURES = 'tests.aiida_fixtures'


# AiiDA looks for `verdi` when it is imported; without it no daemon starts from an environment that is not activated.
PROGRAMS = str(Path(sys.executable).parent)
if PROGRAMS not in os.environ['PATH'].split(os.pathsep):
    os.environ['PATH'] = os.pathsep.join([PROGRAMS, os.environ['PATH']])


def pytest_pycollect_makemodule(module_path, parent):
    if module_path.parent in [Path(__file__).parent / name for name in AIIDA_FOLDERS]:
        parent.config.pluginmanager.import_plugin(FIXTURES)
