# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What the package ships is found from the code on, however it was installed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from liquid_control.common import assets
from liquid_control.common.errors import BundleError, ConfigError

# Where the code and where its files lie, below one folder.
LAYOUTS = {
    'source tree': ('liquid_control', '.'),
    'colcon': ('lib/python3.12/site-packages/liquid_control', 'share/liquid_control'),
    'colcon on Ubuntu 22.04': (
        'local/lib/python3.10/dist-packages/liquid_control',
        'share/liquid_control',
    ),
    'pip --target': ('liquid_control', 'share/liquid_control'),
}
SHIPPED = 'models/mine/policy.yaml', 'config/robots/car.yaml', 'config/training/short.yaml'


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    assets.shipped_folder.cache_clear()
    yield
    assets.shipped_folder.cache_clear()


def install(prefix: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with the policy `mine`, the robot `car` and the recipe `short`."""
    code, share = (prefix / part for part in LAYOUTS[layout])
    (code / 'common').mkdir(parents=True)
    for name in (
        'models/mine/policy.yaml',
        'config/robots/car.yaml',
        'config/training/short.yaml',
    ):
        (share / name).parent.mkdir(parents=True, exist_ok=True)
        (share / name).touch()
    monkeypatch.setattr(assets, '__file__', str(code / 'common' / 'assets.py'))
    return share


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_installation_finds_its_own_files(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / 'other', 'colcon', monkeypatch)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'other'))
    share = install(tmp_path / 'here', layout, monkeypatch).resolve()
    assert assets.shipped_folder().resolve() == share
    assert assets.find_bundle('mine').resolve() == share / 'models' / 'mine'
    assert assets.robot_file('car').resolve() == share / 'config' / 'robots' / 'car.yaml'
    assert assets.recipe_file('short').resolve() == share / 'config' / 'training' / 'short.yaml'
    assert assets.config_file('policy.yaml').resolve() == share / 'config' / 'policy.yaml'


def test_unknown_names_are_answered_with_those_that_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, 'colcon', monkeypatch)
    with pytest.raises(BundleError, match=r"no policy bundle 'track': .* one of mine"):
        assets.find_bundle('track')
    with pytest.raises(ConfigError, match=r"no robot 'cra': .* one of car"):
        assets.robot_file('cra')
    with pytest.raises(ConfigError, match=r"no recipe 'long': .* one of short"):
        assets.recipe_file('long')
    with pytest.raises(ConfigError, match='no robot'):
        assets.robot_file('a' * 5000)


def test_installation_without_its_files_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assets, '__file__', str(tmp_path / 'liquid_control/common/assets.py'))
    with pytest.raises(ConfigError, match='install the package again'):
        assets.find_bundle('track_cfc')


def test_tilde_is_the_home_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(install(tmp_path, 'source tree', monkeypatch)))
    assert assets.find_bundle('~/models/mine') == tmp_path / 'models' / 'mine'
    assert assets.robot_file('~/config/robots/car.yaml').parent == tmp_path / 'config/robots'
