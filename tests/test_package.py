"""What lies beside the code: the citation file and the mark that the package is typed."""

from pathlib import Path

import yaml

import aiida_mlip_autopipe

ROOT = Path(__file__).parent.parent


def test_the_citation_names_the_present_version():
    assert yaml.safe_load((ROOT / 'CITATION.cff').read_text())['version'] == aiida_mlip_autopipe.__version__


def test_type_checkers_are_told_that_the_package_is_typed():
    assert (Path(aiida_mlip_autopipe.__file__).parent / 'py.typed').is_file()
