# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The profile is set in the one variable that the middleware reads, and none of the user's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from liquid_control.common.assets import config_file
from liquid_control.nodes.common import dds

VARIABLES = 'FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'


@pytest.fixture
def ros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a ROS has its packages; nobody has chosen a profile yet."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    return tmp_path


def install_middleware(ros: Path, library: str) -> None:
    name = 'rmw_fastrtps_shared_cpp'
    for folder in ('share/ament_index/resource_index/packages', f'share/{name}'):
        (ros / folder).mkdir(parents=True)
    (ros / 'share/ament_index/resource_index/packages' / name).touch()
    (ros / 'share' / name / 'package.xml').write_text(f'<depend>{library}</depend>')


def chosen(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The variables after the call, which are forgotten again."""
    monkeypatch.setattr(os, 'environ', dict(os.environ))
    dds.use_default_profile()
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


@pytest.mark.parametrize(
    ('library', 'variable'), [('fastrtps', VARIABLES[0]), ('fastdds', VARIABLES[1])]
)
def test_each_version_of_fast_dds_is_told_in_its_own_variable(
    ros: Path, library: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_middleware(ros, library)
    assert chosen(monkeypatch) == {variable: str(config_file('fastdds.xml'))}


@pytest.mark.parametrize('variable', VARIABLES)
def test_profile_of_the_user_stays(
    ros: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, 'mine.xml')
    assert chosen(monkeypatch) == {variable: 'mine.xml'}
