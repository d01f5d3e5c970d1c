"""The rules of the style guide and the design that a machine can hold."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plumpy.ports import PortNamespace

from aiida_mlip_autopipe.engines.lammps.engine import Engine

PACKAGE = 'aiida_mlip_autopipe'
ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / PACKAGE
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text(encoding='utf-8'))['project']

PURE = {'common', 'science', 'formats', 'engines', 'config', 'remote'}
_LEAVES = {'science', 'formats', 'engines', 'config'}
_NODES = {'common', *_LEAVES, 'data'}
ALLOWED = {
    'common': set[str](),
    'science': {'common'},
    'formats': {'common'},
    'engines': {'common', 'science', 'formats'},
    'config': {'common', 'science', 'engines'},
    'remote': {'common', *_LEAVES},
    'data': {'common', *_LEAVES},
    'calculations': _NODES,
    'parsers': _NODES,
    'workflows': {*_NODES, 'calculations', 'parsers'},
    'cli': {*_NODES, 'calculations', 'parsers', 'workflows'},
}
MAX_LINES = 500
MAX_BODY = 60
MAX_DEFINE = 120
BROAD = {'Exception', 'BaseException'}
PROCESS_GROUPS = ('aiida.calculations', 'aiida.workflows')

FILES = sorted(SOURCE.rglob('*.py'))
every_module = pytest.mark.parametrize('path', FILES, ids=[str(path.relative_to(SOURCE)) for path in FILES])


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def layer_of(module: str) -> str:
    """Return the folder below the package, or nothing for the package itself and for other packages."""
    parts = module.split('.')
    return parts[1] if len(parts) > 1 and parts[0] == PACKAGE and parts[1] in ALLOWED else ''


def imported(path: Path) -> Iterator[str]:
    """Yield the absolute names that a module imports anywhere, also inside functions."""
    name = module_name(path)
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split('.')[: len(package.split('.')) - node.level + 1] if node.level else []
            origin = '.'.join([*base, *([node.module] if node.module else [])])
            yield from (f'{origin}.{alias.name}' for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'), filename=str(path))


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines from the first statement after the docstring to the end."""
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return function.end_lineno - statements[0].lineno + 1 if statements and function.end_lineno else 0


def entry_points() -> Iterator[tuple[str, str, str]]:
    groups = {'console_scripts': PROJECT['scripts'], **PROJECT['entry-points']}
    for group, members in groups.items():
        yield from ((group, name, target) for name, target in members.items())


def loaded(target: str) -> Any:
    module, _, attribute = target.partition(':')
    return getattr(importlib.import_module(module), attribute)


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True, check=False, timeout=300)


def test_no_module_is_named_like_one_of_python() -> None:
    modules = [path for folder in (SOURCE, ROOT / 'tests', ROOT / 'docs', ROOT / 'examples') for path in folder.rglob('*.py')]
    names = {path: path.parent.name if path.stem == '__init__' else path.stem for path in modules}
    assert not [path for path, name in names.items() if name in sys.stdlib_module_names]


class TestImports:
    def test_every_folder_is_a_layer(self) -> None:
        assert {path.parent.name for path in SOURCE.glob('*/__init__.py')} == set(ALLOWED)

    @every_module
    def test_arrows(self, path: Path) -> None:
        layer = layer_of(module_name(path))
        allowed = {'', layer, *(ALLOWED if path.name == 'testing.py' else ALLOWED.get(layer, ()))}
        wrong = [name for name in imported(path) if layer_of(name) not in allowed]
        assert not wrong, f'{layer or "the package"} may import {sorted(allowed - {""})}, but imports {wrong}'

    @pytest.mark.parametrize('path', sorted(SOURCE.glob('engines/*/*.py')), ids=lambda path: str(path.relative_to(SOURCE)))
    def test_an_engine_imports_no_other_but_lammps(self, path: Path) -> None:
        wings = {name.split('.')[2] for name in imported(path) if name.startswith(f'{PACKAGE}.engines.')}
        assert wings <= {path.parent.name, 'lammps'}

    @pytest.mark.parametrize('path', [p for p in FILES if layer_of(module_name(p)) in PURE], ids=module_name)
    def test_pure_layers_import_no_aiida(self, path: Path) -> None:
        wrong = [name for name in imported(path) if name.split('.')[0].startswith('aiida') and name.split('.')[0] != PACKAGE]
        assert not wrong

    def test_pure_layers_load_no_aiida(self) -> None:
        names = [module_name(path) for path in FILES if layer_of(module_name(path)) in PURE]
        done = run_python(f'import sys\nfor name in {names!r}:\n    __import__(name)\nassert "aiida" not in sys.modules')
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')

    def test_importing_does_nothing(self, tmp_path: Path) -> None:
        names = [module_name(path) for path in FILES]
        code = f"""
import os
os.chdir({str(tmp_path)!r})
for name in {names!r}:
    __import__(name)
from aiida.manage import get_manager
assert get_manager().get_profile() is None, 'a profile was loaded'
"""
        done = run_python(code)
        assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
        assert not list(tmp_path.iterdir())


class TestShape:
    @every_module
    def test_docstring(self, path: Path) -> None:
        assert ast.get_docstring(parsed(path)), 'a module opens with one sentence that says what it holds'

    @every_module
    def test_length(self, path: Path) -> None:
        assert len(path.read_text(encoding='utf-8').splitlines()) <= MAX_LINES

    @every_module
    def test_no_utils(self, path: Path) -> None:
        assert not {'util', 'utils'} & {
            part for name in path.relative_to(SOURCE).with_suffix('').parts for part in name.split('_')
        }

    @every_module
    def test_function_bodies(self, path: Path) -> None:
        functions = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        long = {f.name: body_lines(f) for f in functions if body_lines(f) > (MAX_DEFINE if f.name == 'define' else MAX_BODY)}
        assert not long

    @every_module
    def test_define_never_branches(self, path: Path) -> None:
        for function in ast.walk(parsed(path)):
            if isinstance(function, ast.FunctionDef) and function.name == 'define':
                assert not [n for n in ast.walk(function) if isinstance(n, ast.If | ast.While | ast.Match | ast.Try)]

    @every_module
    def test_no_print(self, path: Path) -> None:
        calls = [n.func for n in ast.walk(parsed(path)) if isinstance(n, ast.Call)]
        assert not [call.lineno for call in calls if isinstance(call, ast.Name) and call.id == 'print']

    @every_module
    def test_exceptions_are_named(self, path: Path) -> None:
        handlers = [n for n in ast.walk(parsed(path)) if isinstance(n, ast.ExceptHandler)]
        wrong = [
            handler.lineno
            for handler in handlers
            if handler.type is None or BROAD & {n.id for n in ast.walk(handler.type) if isinstance(n, ast.Name)}
        ]
        assert not wrong


class TestEntryPoints:
    @pytest.mark.parametrize(('group', 'name', 'target'), list(entry_points()))
    def test_resolves(self, group: str, name: str, target: str) -> None:
        found = loaded(target)
        assert callable(found) or isinstance(found, Engine), f'{group}: {name} = {target}'

    @pytest.mark.parametrize(('group', 'name', 'target'), [e for e in entry_points() if e[0] != 'console_scripts'])
    def test_prefix(self, group: str, name: str, target: str) -> None:
        assert name.startswith('mlip_autopipe.')
        assert target.startswith(f'{PACKAGE}.')


def foreign_base(process: Any) -> Any:
    """Return the nearest base class that is not of this package."""
    return next(base for base in process.__mro__ if not base.__module__.startswith(PACKAGE))


def exposed_from_elsewhere(process: Any) -> set[str]:
    """Return the full names of inputs that were exposed from processes of other packages."""
    # plumpy has no public way to ask what was exposed.
    exposed = process.spec()._exposed_inputs
    return {
        f'{namespace}.{name}' if namespace else name
        for namespace, processes in exposed.items()
        for origin, names in processes.items()
        if not origin.__module__.startswith(PACKAGE)
        for name in names
    }


def ports_without_help(namespace: Any, skipped: set[str], prefix: str = '') -> Iterator[str]:
    for name, port in namespace.items():
        full = f'{prefix}{name}'
        if full in skipped or name == 'metadata':
            continue
        is_namespace = isinstance(port, PortNamespace)
        if is_namespace:
            yield from ports_without_help(port, skipped, f'{full}.')
        if not (port.help or '').strip() and (not is_namespace or port.dynamic):
            yield full


@pytest.mark.parametrize('target', [t for group, _, t in entry_points() if group in PROCESS_GROUPS])
class TestProcesses:
    def test_every_input_has_help(self, target: str) -> None:
        process = loaded(target)
        skipped = {*foreign_base(process).spec().inputs, *exposed_from_elsewhere(process)}
        assert not list(ports_without_help(process.spec().inputs, skipped))

    def test_exit_codes(self, target: str) -> None:
        process = loaded(target)
        inherited = foreign_base(process).spec().exit_codes
        codes = process.spec().exit_codes
        statuses = [code.status for code in codes.values()]
        assert len(set(statuses)) == len(statuses), 'one status, one label'
        for label, code in codes.items():
            if label in inherited:
                continue
            assert label.startswith(('ERROR_', 'WARNING_'))
            assert 200 <= code.status < 600
            assert code.message.strip()
