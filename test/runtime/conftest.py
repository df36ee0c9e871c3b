"""What tests of the runtime share."""

from pathlib import Path

import pytest
from bundles import make_bundle
from pilots import Drive

from liquid_control.runtime.bundle import Bundle, load_bundle


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A policy with camera, IMU and speed; tests that damage one make their own."""
    return load_bundle(make_bundle(tmp_path_factory.mktemp('bundles') / 'bundle', speed=True))


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    return Drive(tmp_path, speed=True)
