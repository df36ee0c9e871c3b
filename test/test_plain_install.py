# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Installed is not the same as checked out: colcon's and pip's copies, with the source tree away.

What runs here is a Python whose packages are those of the tests, but for this package itself,
which it has from the installation alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from liquid_control import __version__
from liquid_control.evaluate.closed_loop.domains import isolated_environment

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (
    *('CMakeLists.txt', 'package.xml', 'setup.py', 'pyproject.toml', 'LICENSE'),
    *('config', 'launch', 'liquid_control', 'models', 'msg', 'scripts'),
)
FROM_WHEELS = 'ROS_DISTRO' not in os.environ

# The messages are built once more, which a busy machine takes its time for.
pytestmark = pytest.mark.timeout(900)

EVERY_MODULE = """
import importlib, pkgutil
import launches  # or something in its place, where there is no ROS
import liquid_control
for module in pkgutil.walk_packages(liquid_control.__path__, 'liquid_control.'):
    print(importlib.import_module(module.name).__file__)
"""
EVERY_LAUNCH_FILE = """
import json, sys
from launches import launch
names = {name: sorted(launch(name)) for name in ('drive', 'sim')}
names['replay'] = sorted(launch('replay', bag=sys.argv[1]))
print(json.dumps(names))
"""


def run(
    command: list[str | Path], folder: Path, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def away_from_the_source() -> dict[str, str]:
    """This environment without what leads to the source tree or what was built of it."""
    environment = isolated_environment()
    for name in ('PYTHONPATH', 'AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH', 'COLCON_PREFIX_PATH'):
        places = environment.pop(name, '').split(os.pathsep)
        kept = [place for place in places if place and not place.startswith(str(ROOT))]
        if FROM_WHEELS and name in ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH'):
            kept.append(sys.prefix)
        if kept:
            environment[name] = os.pathsep.join(kept)
    return environment


def other_python(folder: Path) -> Path:
    """An interpreter with this one's packages, but none that is installed in editable form."""
    config = Path(sys.prefix, 'pyvenv.cfg').read_text()
    venv.create(folder, system_site_packages='include-system-site-packages = true' in config)
    place = sysconfig.get_path('purelib', vars={'base': str(folder)})
    # A .pth file leads to the packages; those beside them, editable ones, are not read then.
    Path(place, 'packages.pth').write_text(sysconfig.get_path('purelib'))
    return folder / 'bin' / 'python'


@dataclass(frozen=True)
class Installation:
    """A workspace in which the package was built, without links to its sources."""

    folder: Path
    python: Path
    environment: dict[str, str]

    @property
    def prefix(self) -> Path:
        return self.folder / 'install' / 'liquid_control'

    def run(self, *command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command with the workspace sourced, in an environment with some more in it."""
        sourced = '. install/local_setup.sh && exec "$@"'
        environment = self.environment | more
        return run(['sh', '-c', sourced, 'sh', *command], self.folder, environment)


def copy_sources(folder: Path) -> Path:
    folder.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope='module')
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp('workspace')
    sources = copy_sources(folder / 'src')
    python = other_python(folder / 'python')
    environment = away_from_the_source()
    environment['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{environment["PATH"]}'
    (folder / 'python' / 'COLCON_IGNORE').touch()
    done = run(
        [
            *('colcon', '--log-base', 'log', 'build', '--base-paths', 'src'),
            *('--cmake-args', '-DBUILD_TESTING=OFF', f'-DPython3_EXECUTABLE={python}'),
        ],
        folder,
        environment,
    )
    assert done.returncode == 0, done.stderr
    run(['git', 'init', '--quiet'], folder, environment)
    author = '-c', 'user.name=somebody', '-c', 'user.email=somebody@localhost'
    run(['git', *author, 'commit', '--allow-empty', '-m', 'workspace'], folder, environment)
    for place in (sources, folder / 'build'):  # nothing may be found where it was built
        shutil.rmtree(place)
    shutil.copy(ROOT / 'test/support/launches.py', folder)
    shutil.copytree(ROOT / 'test/support/standins', folder / 'standins')
    return Installation(folder, python, environment)


@pytest.fixture(scope='module')
def lap(installed: Installation) -> Path:
    """The recording of a lap."""
    # A shipped policy that bears a busy machine, and a command that takes a free domain.
    policy = installed.folder / 'patient'
    shutil.copytree(installed.prefix / 'share/liquid_control/models/track_cfc', policy)
    contract = (policy / 'policy.yaml').read_text()
    (policy / 'policy.yaml').write_text(re.sub('max_age: .*', 'max_age: 2.0', contract))
    free = 'env', '-u', 'ROS_DOMAIN_ID'
    drive = 'liquid-control', 'drive', '--policy', policy, '--laps', '1', '--out', 'out'
    done = installed.run(*free, *drive)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return installed.folder / 'out' / 'recording' / 'episode_0000'


def test_every_module_is_imported_from_the_installation(installed: Installation) -> None:
    assert not [path for path in installed.prefix.rglob('*') if path.is_symlink()]
    done = installed.run(installed.python, '-c', EVERY_MODULE)
    assert done.returncode == 0, done.stderr
    files = done.stdout.split()
    assert len(files) > 80
    assert not [file for file in files if not Path(file).is_relative_to(installed.prefix)]


@pytest.mark.parametrize(
    ('command', 'output'),
    [
        ('bin/liquid-control inspect track_ltc', 'steering_angle'),
        ('lib/liquid_control/liquid-control bag --help', 'repair'),
        # In processes that begin by reading the executable again.
        ('bin/liquid-control collect --seeds 0-1 --seconds 1 --out bags', '2/2'),
        (
            'lib/liquid_control/policy_node --ros-args -p autostart:=true -p policy:=nothing',
            "no policy bundle 'nothing': it is neither a directory with policy.yaml nor one of",
        ),
        ('lib/liquid_control/recorder_node --ros-args -p split_size:=-1', 'split_size'),
        ('lib/liquid_control/simulator_node --ros-args -p seed:=-1', 'seed'),
        ('lib/liquid_control/engager_node', 'use_sim_time must be true'),
    ],
)
def test_installed_executable_runs(installed: Installation, command: str, output: str) -> None:
    program, *arguments = command.split()
    done = installed.run(installed.prefix / program, *arguments)
    assert output in done.stdout + done.stderr
    assert 'Traceback' not in done.stderr
    assert (installed.prefix / program).read_text().startswith(f'#!{installed.python}\n')


def test_installed_simulator_without_mujoco_says_what_to_install(
    installed: Installation,
) -> None:
    broken = installed.folder / 'broken'
    broken.mkdir()
    (broken / 'mujoco.py').write_text('raise ModuleNotFoundError(name="mujoco")')
    simulator = installed.prefix / 'lib/liquid_control/simulator_node'
    done = installed.run(simulator, PYTHONPATH=str(broken))
    assert done.returncode == 1
    assert done.stderr.startswith('simulator_node: mujoco is not installed for ')
    assert done.stderr.count('\n') == 1


def test_lap_is_driven_and_played_from_the_installation(
    installed: Installation, lap: Path
) -> None:
    player = installed.prefix / 'lib/liquid_control/player_node'
    done = installed.run(player, '--ros-args', '-p', f'bag:={lap}', '-p', 'rate:=100.0')
    assert done.returncode == 0, done.stdout
    assert 'messages played' in done.stdout + done.stderr


def test_recording_does_not_name_the_commit_of_the_workspace(lap: Path) -> None:
    session = yaml.safe_load((lap.parent / 'session.yaml').read_text())
    assert session['version'] == {'liquid_control': __version__, 'git': None}


def test_every_launch_file_is_evaluated_from_the_installation(
    installed: Installation, lap: Path
) -> None:
    done = installed.run(installed.python, '-c', EVERY_LAUNCH_FILE, lap)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        'drive': ['policy_node', 'recorder_node'],
        'sim': ['policy_node', 'recorder_node', 'simulator_node'],
        'replay': ['player_node', 'policy_node'],
    }


def test_pip_installs_what_the_package_ships(tmp_path: Path) -> None:
    environment = away_from_the_source()
    sources = copy_sources(tmp_path / 'src')
    # The kernels that a wheel brings along are optional; other tests build them.
    done = run(
        [
            *(sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'),
            *('--no-deps', '--no-build-isolation', '--target', tmp_path / 'target', sources),
        ],
        tmp_path,
        environment | {'CC': 'false', 'CXX': 'false'},
    )
    assert done.returncode == 0, done.stderr
    found = run(
        [
            *(other_python(tmp_path / 'python'), '-c'),
            'from liquid_control.common.assets import *\n'
            'for file in (find_bundle("track_cfc"), robot_file("donkeycar"), '
            'recipe_file("track_ltc"), config_file("fastdds.xml"), '
            'shipped_folder() / "launch" / "drive.launch.py"): print(file.resolve(strict=True))',
        ],
        tmp_path,
        environment | {'PYTHONPATH': str(tmp_path / 'target')},
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.count(str(tmp_path / 'target' / 'share' / 'liquid_control')) == 5
