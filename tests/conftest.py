"""AiiDA takes seconds to import and to set up: its fixtures are loaded with the first folder of tests that needs them."""

from pathlib import Path

AIIDA_FOLDERS = ('data', 'calculations', 'parsers', 'workflows', 'cli')
FIXTURES = 'tests.aiida_fixtures'


def pytest_pycollect_makemodule(module_path, parent):
    if module_path.parent in [Path(__file__).parent / name for name in AIIDA_FOLDERS]:
        parent.config.pluginmanager.import_plugin(FIXTURES)
