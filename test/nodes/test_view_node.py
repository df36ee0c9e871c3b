# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The view's own process: its socket, what it refuses, and that nothing of a page stays behind."""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode
from support.bundles import make_bundle
from support.robots import Robot, driven
from support.ros import TIMEOUT, running

from liquid_control.common.stamps import ns_of

pytest.importorskip('nicegui', reason="pip install '.[view]'")
from support.views import Hand, View, drained, opened, viewing
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

RECONNECTS = 1000


@pytest.fixture(scope='module')
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    with viewing(tmp_path_factory.mktemp('view') / 'log') as view:
        yield view


@pytest.fixture(scope='module')
def robot(view: View, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Robot]:
    """A policy node with sensors, beside the view."""
    folder = tmp_path_factory.mktemp('robot')
    with driven(folder / 'log', make_bundle(folder / 'policy')) as robot:
        robot.receives()
        yield robot


@pytest.fixture
def hand(view: View, robot: Robot) -> Iterator[Hand]:
    """A page that knows the robot's commands, at rest and disengaged."""
    hand = Hand(view)
    ready = lambda: hand.state.get('commands') and hand.state['commands'][0]['high'] is not None  # noqa: E731
    hand.until(ready, 'commands')
    yield hand
    hand.socket.close()
    robot.engage(False)
    robot.reaches(ControlMode.DISENGAGED)


def moving(robot: Robot) -> bool:
    robot.peer.spin(0.0)
    return bool(robot.commands) and robot.commands[-1].twist.linear.x > 0.2


def stands(robot: Robot) -> bool:
    robot.peer.spin(0.0)
    return robot.commands[-1].twist.linear.x == 0.0 and robot.modes[-1].mode == 0


def test_held_key_drives_and_its_release_stops(hand: Hand, robot: Robot) -> None:
    hand.hold(lambda: moving(robot), 'it moves', speed=0.5)
    robot.reaches(ControlMode.MANUAL)
    hand.send(hand=None)
    hand.until(lambda: stands(robot), 'it stands')
    assert robot.modes[-1].reason == 'override ended'


def test_no_two_commands_of_a_page_have_one_time(hand: Hand, robot: Robot) -> None:
    """Neither those that answer one thing seen nor one after a stop: all are learnt from."""
    given = robot.peer.listen(TwistStamped, 'cmd_vel_override', 50)
    robot.wait(lambda: robot.peer.node.count_publishers('cmd_vel_override'), 'the hand is heard')
    for speed in (0.1, 0.2, 0.3):
        hand.send(n=hand.state['n'], hand={'speed': speed})
    hand.send(hand=None)
    hand.send(n=hand.state['n'], hand={'speed': 0.4})
    robot.wait(lambda: len(given) >= 5, 'all arrive')
    assert [round(each.twist.linear.x / given[0].twist.linear.x) for each in given[:5]] == [
        1, 2, 3, 0, 4,
    ]  # fmt: skip
    stamps = [ns_of(each.header.stamp) for each in given]
    assert all(before < after for before, after in itertools.pairwise(stamps))


def test_page_that_falls_silent_stops_even_a_policy_that_was_to_go_on(
    hand: Hand, robot: Robot
) -> None:
    """As a laptop that is closed: the connection stays, nothing comes."""
    hand.hold(lambda: moving(robot), 'it moves', speed=0.5)
    hand.send(do='engage')  # what is to happen when the hand lets go
    hand.hold(lambda: 'engaged' in hand.said, 'engaged', speed=0.5)
    robot.wait(lambda: stands(robot), 'it stands')
    assert robot.modes[-1].mode == ControlMode.DISENGAGED


def test_policy_goes_on_where_a_hand_lets_go_after_engaging(hand: Hand, robot: Robot) -> None:
    hand.hold(lambda: moving(robot), 'it moves', speed=0.5)
    hand.send(do='engage')
    hand.hold(lambda: 'engaged' in hand.said, 'engaged', speed=0.5)
    hand.send(hand=None)
    robot.reaches(ControlMode.AUTONOMOUS)


def test_taking_the_wheel_from_the_policy_and_letting_go_stops(hand: Hand, robot: Robot) -> None:
    robot.engaged()
    hand.hold(lambda: hand.state['mode'] == ControlMode.MANUAL, 'a person drives', speed=0.5)
    hand.send(hand=None)
    hand.until(lambda: stands(robot), 'it stands')


def test_connection_that_ends_stops(hand: Hand, robot: Robot) -> None:
    hand.hold(lambda: moving(robot), 'it moves', speed=0.5)
    hand.socket.close()
    robot.wait(lambda: stands(robot), 'it stands')


def test_stop_of_one_page_takes_the_wheel_from_another(
    view: View, hand: Hand, robot: Robot
) -> None:
    other = Hand(view)
    hand.hold(lambda: moving(robot), 'it moves', speed=0.5)
    other.send(do='stop')
    hand.hold(lambda: stands(robot), 'it stands although the key is held', speed=0.5)
    assert 'stopped: let go first' in hand.said
    other.socket.close()


def test_what_a_page_saw_long_ago_moves_nothing(hand: Hand, robot: Robot) -> None:
    """As what lay in a network that was gone: it names what the page had seen then."""
    old = hand.state['n']
    hand.until(lambda: hand.state['n'] > old + 10, 'a second passes')
    for wrong in (old, old + 1000, 'x', None, -1):
        hand.said.clear()
        hand.send(n=wrong, hand={'speed': 1.0})
        hand.until(lambda: hand.said or hand.state['n'] > old + 25, 'an answer')
    assert robot.modes[-1].mode == ControlMode.DISENGAGED


def test_space_helps_with_what_the_page_showed(hand: Hand, robot: Robot) -> None:
    robot.receives()
    hand.send(do='space', shown=ControlMode.AUTONOMOUS)  # it stopped a moment ago
    hand.until(lambda: 'disengaged' in hand.said, 'a stop')
    hand.send(do='space', shown=ControlMode.DISENGAGED)
    hand.until(lambda: hand.state['mode'] == ControlMode.AUTONOMOUS, 'it drives')
    hand.send(do='space', shown=ControlMode.DISENGAGED)  # it began a moment ago
    hand.until(lambda: hand.state['mode'] != ControlMode.AUTONOMOUS, 'it stops')


def test_two_hands_do_not_fight(view: View, hand: Hand, robot: Robot) -> None:
    other = Hand(view)

    def asks() -> bool:
        other.look()
        other.send(n=other.state.get('n', 0), hand={'speed': 0.0})
        return 'somebody else is steering' in other.said

    with contextlib.closing(other.socket):
        hand.hold(lambda: other.look() or moving(robot), 'it moves', speed=0.5)
        hand.hold(asks, 'refused', speed=0.5)
        assert hand.state['mode'] == ControlMode.MANUAL


@pytest.mark.parametrize(
    'sent',
    ['x' * 3000, 'no JSON', '[1, 2]', '3', '{"a":' * 500],
    ids=['too long', 'no JSON', 'a list', 'a number', 'deep'],
)
def test_nonsense_ends_a_page_and_nothing_else(view: View, sent: str) -> None:
    live = view.live()
    live.send(sent)
    assert drained(live) == 1008
    assert view.status() == 200


def test_page_that_floods_is_closed(view: View) -> None:
    live = view.live()
    with contextlib.suppress(ConnectionClosed):
        for _ in range(1000):
            live.send('{"n": 1}')
    assert drained(live) == 1008


def test_pages_beyond_the_limit_are_turned_away(view: View) -> None:
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(view.live()) for _ in range(8)]
        for page in pages:
            page.recv(TIMEOUT)
        with pytest.raises(ConnectionClosed):
            stack.enter_context(view.live()).recv(TIMEOUT)


def test_hostile_page_gets_no_socket(view: View) -> None:
    for origin in ('http://evil.com', 'http://127.0.0.1:1', 'null'):
        with pytest.raises(InvalidStatus):
            view.live(origin)
        address = f'ws://{view.root}/_nicegui_ws/socket.io/?EIO=4&transport=websocket'
        with pytest.raises(InvalidStatus):
            opened(address, origin=origin)
    assert view.status(Host='evil.com') == 421


def test_thousand_reconnects_leak_nothing(view: View) -> None:
    process = psutil.Process(view.process.popen.pid)

    def reconnect(times: int) -> None:
        for _ in range(times):
            with view.live() as live:
                live.recv(TIMEOUT)

    reconnect(100)
    before = process.num_fds(), process.num_threads(), process.memory_info().rss
    reconnect(RECONNECTS)
    deadline = time.monotonic() + TIMEOUT
    while process.num_fds() > before[0] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.num_fds() <= before[0]
    assert process.num_threads() <= before[1]
    assert process.memory_info().rss - before[2] < 4 << 20, 'a page keeps no 4 kB'
    with view.live() as live:
        assert json.loads(live.recv(TIMEOUT))['role'] == 'drive', 'all places are free again'


def test_beyond_loopback_a_token_is_asked_for_and_read_only_acts_on_nothing(
    tmp_path: Path, robot: Robot
) -> None:
    with viewing(tmp_path / 'log', host='0.0.0.0') as view:
        cookie = f'liquid_control_{view.port}'
        assert view.status() == 401
        with pytest.raises(WebSocketException):
            view.live()
        assert view.status(Cookie=f'{cookie}={view.token("drive")}') == 200
        watching = Hand(view, Cookie=f'{cookie}={view.token("watch")}')
        watching.until(lambda: watching.state.get('mode') is not None, 'it shows the robot')
        for asked in ({'hand': {'speed': 1.0}}, {'do': 'engage'}, {'do': 'stop'}):
            watching.said.clear()
            watching.send(n=watching.state['n'], **asked)
            watching.until(lambda: watching.said, 'an answer') if 'hand' in asked else None
        assert watching.state['mode'] == ControlMode.DISENGAGED
        watching.socket.close()


def test_address_that_is_taken_is_said_in_one_line(tmp_path: Path, view: View) -> None:
    with running('view_node', tmp_path / 'log', port=view.port) as process:
        assert process.popen.wait(TIMEOUT) == 1
    assert f'cannot serve on 127.0.0.1 port {view.port}: Address already in use' in process.output
    assert 'Traceback' not in process.output
