"""What holds for all tests."""

import signal

import pytest
from support.bundles import make_bundle

from liquid_control.contract.bundle import Bundle, load_bundle

# A shell's background job ignores SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A policy with camera, IMU and speed; tests that damage one make their own."""
    return load_bundle(make_bundle(tmp_path_factory.mktemp('bundles') / 'bundle', speed=True))
