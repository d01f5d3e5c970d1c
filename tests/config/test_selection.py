"""`SelectionConfig`: bounds, and defaults that are registered."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from aiida_mlip_autopipe.config.selection import SelectionConfig
from tests.config.settings import config_with, mistakes_in


@pytest.mark.parametrize(
    ('group', 'name'),
    [
        ('mlip_autopipe.descriptors', SelectionConfig().descriptor),
        ('mlip_autopipe.selectors', SelectionConfig().selector_where(has_potential=False)),
        ('mlip_autopipe.atom_selectors', SelectionConfig().selector_where(has_potential=True)),
    ],
)
def test_default_is_registered(group: str, name: str) -> None:
    assert [point.name for point in metadata.entry_points(group=group, name=name)] == [name]


@pytest.mark.parametrize(
    ('selector', 'without', 'beside'),
    [
        ('auto', 'mlip_autopipe.fps', 'mlip_autopipe.d_optimal'),
        ('mlip_autopipe.d_optimal', 'mlip_autopipe.fps', 'mlip_autopipe.d_optimal'),
        ('mlip_autopipe.random', 'mlip_autopipe.random', 'mlip_autopipe.random'),
        ('other.by_atoms', 'other.by_atoms', 'other.by_atoms'),
    ],
)
def test_the_selector_of_a_round(selector: str, without: str, beside: str) -> None:
    """Round 0 has no potential, whose descriptors D-optimality looks at."""
    config = SelectionConfig(selector=selector)
    assert config.selector_where(has_potential=False) == without
    assert config.selector_where(has_potential=True) == beside


def test_entry_point_of_a_third_party_is_taken_as_it_is() -> None:
    assert config_with({'select.descriptor': 'other.soap'}).select.descriptor == 'other.soap'


@pytest.mark.parametrize(
    ('field', 'value', 'said'),
    [
        ('descriptor_cutoff', 0, 'greater than 0 (Å, cutoff of the descriptor)'),
        ('descriptor_cutoff', 13, 'less than or equal to 12 (Å, cutoff of the descriptor)'),
        ('min_bond_fraction', 0.2, 'greater than or equal to 0.3 (shortest bond'),
        ('min_bond_fraction', 1.1, 'less than or equal to 1 (shortest bond'),
        ('max_skew', 0, 'greater than 0 (degrees'),
        ('max_skew', 90, 'less than 90 (degrees'),
        ('duplicate_tolerance', -0.1, 'greater than or equal to 0 (distance'),
        ('descriptor', 3, 'a valid string (entry point'),
        ('selector', None, 'a valid string (entry point'),
    ],
)
def test_out_of_bounds(field: str, value: Any, said: str) -> None:
    (line,) = mistakes_in({f'select.{field}': value})
    assert line.startswith(f'select.{field}: got {value!r}; input should be {said}')


def test_bounds_themselves_are_allowed() -> None:
    bounds = {'descriptor_cutoff': 12, 'min_bond_fraction': 0.3, 'duplicate_tolerance': 0}
    assert config_with({'select': bounds}).select.model_dump() == {**SelectionConfig().model_dump(), **bounds}


@pytest.mark.parametrize(
    ('values', 'said'),
    [
        ({'device': 'tpu'}, "device: got 'tpu'"),
        ({'dtype': 'float16'}, "dtype: got 'float16'"),
        ({'batch_edges': 0}, 'batch_edges: got 0'),
        ({'force_cap': -1}, 'force_cap: got -1'),
        ({'energy_window': 0}, 'energy_window: got 0'),
        ({'volume_window': [20, 10]}, 'volume_window: got [20.0, 10.0]; must be two rising numbers, at least 0 (Å³/atom)'),
        ({'pre_explore': {'kind': 'md'}}, "pre_explore.kind: got 'md'; it needs a model: give select.model"),
        (
            {'selector': 'mlip_autopipe.cur'},
            "got 'mlip_autopipe.cur'; it is no longer there; take mlip_autopipe.d_optimal",
        ),
        ({'selector': 'mlip_autopipe.maxvol'}, 'it is no longer there; take mlip_autopipe.d_optimal'),
        ({'model': 'small', 'pre_explore': {'steps': 0}}, 'pre_explore.steps: got 0'),
        ({'quotas': {'config_type': {'md': 0.6, 'sqs': 0.5}}}, 'config_type: the shares are 1.1 together; at most 1 is allowed'),
        ({'quotas': {'composition': {'Al': 1.5}}}, 'quotas.composition.Al: got 1.5'),
    ],
)
def test_what_a_surrogate_cannot_do_is_refused(values: dict[str, Any], said: str) -> None:
    (line,) = mistakes_in({'select': values})
    assert said in line
