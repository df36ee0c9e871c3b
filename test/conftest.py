"""What holds for all tests."""

import signal

import pytest
from support.bundles import make_bundle

from liquid_control.contract.bundle import Bundle, load_bundle

# A shell's background job ignores SIGINT, and so would every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


# Real processes that keep real time: one after the other, however many test processes there are.
ROBOTS = {'nodes', 'closed_loop', 'test_drive', 'test_plain_install'}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Which tests stay together in one of several test processes (pytest-xdist)."""
    for item in items:
        names = {*item.path.parent.parts, item.path.stem}
        item.add_marker(pytest.mark.xdist_group('robots' if names & ROBOTS else str(item.path)))


@pytest.fixture(scope='session')
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A policy with camera, IMU and speed; tests that damage one make their own."""
    return load_bundle(make_bundle(tmp_path_factory.mktemp('bundles') / 'bundle', speed=True))
