"""The fingerprint of a level of theory: what changes it and what does not."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import pytest

from aiida_mlip_autopipe.common.fingerprint import FINGERPRINT_LENGTH, difference, fingerprint_of, recipe_of

LEVEL: dict[str, Any] = {
    'code': 'Quantum ESPRESSO pw.x',
    'pseudos': {'Al': '1a', 'Mg': '2b'},
    'cutoff_wfc': 30.0,
    'cutoff_rho': None,
    'spin': 'none',
}


def test_known_answer() -> None:
    expected = hashlib.sha256(b'{"a":1,"b":{"c":[2.5,null],"d":"x"}}').hexdigest()[:FINGERPRINT_LENGTH]
    assert fingerprint_of({'b': {'d': 'x', 'c': [2.5, None]}, 'a': 1}) == expected


def test_form() -> None:
    found = fingerprint_of(LEVEL)
    assert len(found) == FINGERPRINT_LENGTH == 16
    assert set(found) <= set('0123456789abcdef')


def test_order_of_keys_does_not_count_at_any_depth() -> None:
    turned = {name: LEVEL[name] for name in reversed(LEVEL)} | {'pseudos': {'Mg': '2b', 'Al': '1a'}}
    assert list(turned) != list(LEVEL)
    assert fingerprint_of(turned) == fingerprint_of(LEVEL)


@pytest.mark.parametrize(
    'change',
    [
        {'cutoff_wfc': 30.1},
        {'cutoff_rho': 120.0},
        {'spin': 'polarised'},
        {'pseudos': {'Al': '1a', 'Mg': '2c'}},
        {'pseudos': {'Al': '2b', 'Mg': '1a'}},
        {'pseudos': {'Al': '1a'}},
        {'extra': None},
    ],
)
def test_everything_counts(change: dict[str, Any]) -> None:
    assert fingerprint_of({**LEVEL, **change}) != fingerprint_of(LEVEL)


def test_order_of_a_list_counts() -> None:
    assert fingerprint_of({'mesh': [1, 2]}) != fingerprint_of({'mesh': [2, 1]})


def test_same_in_another_process() -> None:
    module = fingerprint_of.__module__
    code = f'import sys, {module} as module\nsys.stdout.write(module.fingerprint_of({LEVEL!r}))'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == fingerprint_of(LEVEL)


def test_value_that_json_cannot_hold() -> None:
    with pytest.raises(TypeError, match='not JSON serializable'):
        fingerprint_of({'a': object()})


def test_a_recipe_is_of_a_theory_and_a_program():
    found = {recipe_of({'degauss': degauss}, program) for degauss in (0.01, 0.02) for program in ('a:/bin/pw.x', 'b:/bin/pw.x')}
    assert len(found) == 4


def test_difference_names_what_differs_and_nothing_else():
    levels = {'aa': LEVEL, 'bb': {**LEVEL, 'spin': 'polarised', 'pseudos': {'Al': '1a', 'Mg': '3c'}}}
    assert difference(levels) == 'pseudos.Mg: 2b (aa) or 3c (bb); spin: none (aa) or polarised (bb)'


def test_difference_tells_a_key_that_one_of_them_lacks():
    assert difference({'aa': {}, 'bb': {'degauss': 0.01}}) == 'degauss: not given (aa) or 0.01 (bb)'


def test_difference_of_the_same():
    assert difference({'aa': LEVEL, 'bb': dict(LEVEL)}) == 'no recorded difference'
