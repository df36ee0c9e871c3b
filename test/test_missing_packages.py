# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a package of others is missing, programs end with one line that says what to install."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import recordings as rec
from support.bundles import make_bundle

from liquid_control.common.packages import explained, needed_by

# What cannot be imported, the command that needs it, and what is to be done.
COMMANDS = [
    ('typer', 'inspect POLICY', 'pip install typer'),
    ('mcap', 'replay BAG --policy POLICY', 'pip install mcap'),
    ('matplotlib', 'replay BAG --policy POLICY --picture p.png', 'pip install matplotlib'),
    ('torch', 'train BAG --out new', "pip install '.[train]'"),
    ('torch', 'improve BAG --from track_cfc --out new', "pip install '.[train]'"),
    ('mujoco', 'improve BAG --from track_cfc --out new --rounds 1', "pip install '.[sim]'"),
    ('mujoco', 'collect --out bags --seeds 1', "pip install '.[sim]'"),
    ('mujoco', 'drive', "pip install '.[sim]'"),
    ('rclpy', 'drive', 'source ROS 2'),
]


def run_without(package: str, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`liquid-control` with arguments, where a package cannot be imported."""
    program = (
        f'import sys; sys.modules[{package!r}] = None; sys.argv[0] = "liquid-control"; '
        'from liquid_control.cli.main import main; main()'
    )
    return subprocess.run(
        [sys.executable, '-c', program, *command.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a recording, BAG, and a policy, POLICY."""
    folder = tmp_path_factory.mktemp('without')
    rec.write_bag(folder / 'BAG', rec.drive_entries(1.0))
    make_bundle(folder / 'POLICY')
    return folder


@pytest.mark.parametrize(('package', 'command', 'advice'), COMMANDS)
def test_command_says_what_to_install(
    package: str, command: str, advice: str, folder: Path
) -> None:
    done = run_without(package, command, folder)
    assert done.returncode == 1, done
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith(f'liquid-control: {package} is not '), done.stderr
    assert advice in line
    assert 'Traceback' not in done.stderr


def test_improving_from_recordings_needs_no_simulator(folder: Path) -> None:
    done = run_without('mujoco', 'improve BAG --from track_cfc --out new', folder)
    assert 'recording' in done.stderr
    assert 'mujoco' not in done.stderr


def test_program_ends_where_a_library_cannot_be_loaded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match='1'), needed_by('policy_node'):
        raise ImportError('libGL.so.1: cannot open shared object file', name='cv2')
    said = capsys.readouterr().err
    assert said == (
        'policy_node: cv2 is installed, but cannot be loaded: '
        'libGL.so.1: cannot open shared object file\n'
    )


def test_missing_messages_are_not_a_matter_of_pip() -> None:
    assert 'source ROS 2' in str(explained(ModuleNotFoundError(name='liquid_control.msg')))
    assert 'source ROS 2' in str(explained(ModuleNotFoundError(name='sensor_msgs.msg')))


def test_defect_of_this_package_is_not_explained_away() -> None:
    with pytest.raises(ImportError, match='cannot import name'):
        explained(ImportError('cannot import name', name='liquid_control.runtime'))
