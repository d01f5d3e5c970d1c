"""What the stages read: settings, frames and functions, each refused with a sentence."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from aiida_mlip_autopipe.common.errors import EngineError, InputError, InvalidFramesError
from aiida_mlip_autopipe.common.frames import Frames
from aiida_mlip_autopipe.config.selection import SelectionConfig
from aiida_mlip_autopipe.engines.lammps.explorer import LammpsMd
from aiida_mlip_autopipe.remote.inputs import checked, load_plugin, read_frames
from aiida_mlip_autopipe.science.selection.fps import farthest_points

GROUP = 'mlip_autopipe.selectors'


class TestChecked:
    def test_model(self) -> None:
        assert checked(SelectionConfig, {'max_skew': 30}) == SelectionConfig(max_skew=30)

    def test_one_line_for_each_mistake(self) -> None:
        with pytest.raises(InputError) as caught:
            checked(LammpsMd, {'step': 3, 'timestep': -1})
        first, second = str(caught.value).splitlines()
        assert first == 'timestep: got -1; input should be greater than 0 (fs; above 5 fs there is a warning)'
        assert second.startswith("step: unknown key; did you mean 'steps'? allowed here: code, starts")


class TestFrames:
    def test_round_trip(self, tmp_path: Path) -> None:
        frames = Frames.from_atoms([bulk('Cu'), bulk('Au')])
        frames.save(tmp_path / 'frames.npz')
        assert read_frames(tmp_path, 'frames').uid.tolist() == frames.uid.tolist()

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as caught:
            read_frames(tmp_path, 'starts')
        assert str(caught.value) == 'starts.npz: the frames of the input starts are missing'

    def test_columns_missing(self, tmp_path: Path) -> None:
        np.savez(tmp_path / 'frames.npz', numbers=np.array([29]))
        with pytest.raises(InvalidFramesError, match='offsets'):
            read_frames(tmp_path, 'frames')

    @pytest.mark.parametrize('content', [b'', b'no archive at all', b'PK\x03\x04 cut short'])
    def test_broken_file(self, tmp_path: Path, content: bytes) -> None:
        # A bug that was: zipfile's and numpy's own exceptions ended the worker with a traceback.
        (tmp_path / 'frames.npz').write_bytes(content)
        with pytest.raises(InputError, match=r'^frames.npz: cannot be read: '):
            read_frames(tmp_path, 'frames')


class TestFunctions:
    def test_registered(self) -> None:
        assert load_plugin(GROUP, 'mlip_autopipe.fps') is farthest_points

    def test_unknown_names_those_that_are_registered(self) -> None:
        with pytest.raises(InputError) as caught:
            load_plugin(GROUP, 'nobody.nothing')
        start = "'nobody.nothing' is no entry point of mlip_autopipe.selectors; registered here: "
        assert str(caught.value).startswith(start)
        assert 'mlip_autopipe.fps' in str(caught.value)

    @pytest.mark.parametrize('target', ['no_such_module:function', 'aiida_mlip_autopipe.science.selection.fps:no_such_function'])
    def test_cannot_be_imported(self, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
        point = metadata.EntryPoint('third.party', target, GROUP)
        monkeypatch.setattr(metadata, 'entry_points', lambda **_: metadata.EntryPoints([point]))
        with pytest.raises(EngineError, match=r'^third\.party of mlip_autopipe\.selectors cannot be imported on this machine: '):
            load_plugin(GROUP, 'third.party')
        assert 'no_such_module' not in sys.modules
