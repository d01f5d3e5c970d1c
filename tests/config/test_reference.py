"""The reference page of the configuration: complete, and the same as the one in the docs."""

from pathlib import Path

from pydantic import BaseModel

from aiida_mlip_autopipe.common.settings import models_in
from aiida_mlip_autopipe.config.pipeline import MLIPConfig
from aiida_mlip_autopipe.config.reference import WIDTH, reference_page

PAGE = Path(__file__).parents[2] / 'docs' / 'configuration.md'


def keys_of(model: type[BaseModel], prefix: str = '') -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        keys.append(f'{prefix}{name}')
        for inner in models_in(field.annotation):
            keys.extend(keys_of(inner, f'{prefix}{name}.'))
    return keys


def test_page_of_the_docs_is_the_present_one():
    assert PAGE.read_text(encoding='utf-8') == reference_page()


def test_every_key_stands_in_the_page():
    page = reference_page()
    assert all(f'\n- `{key}` (' in page or f'\n- `{key}`: ' in page for key in keys_of(MLIPConfig))


def test_a_key_tells_default_bounds_and_unit():
    assert '\n- `train.cutoff` (default `4.5`, allowed ≥ 2, ≤ 12): Å, range of the interaction\n' in reference_page()
    assert "\n- `label.code` (default `'pw@localhost'`): " in reference_page()


def test_a_key_with_settings_of_its_own_tells_what_they_are():
    assert '\n- `worker`: Where the stages that are not labelling run.\n' in reference_page()


def test_no_line_is_too_long():
    assert max(map(len, reference_page().splitlines())) <= WIDTH
