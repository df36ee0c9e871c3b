# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, beside the simulated car: it shows what is so, and steers it."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import TwistStamped
from liquid_control.msg import ControlMode, PolicyState, RecorderStatus
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from support.browser import Browser, Page, browsing, program
from support.ros import Peer, running
from support.views import View, viewing

from liquid_control.common.stamps import ns_of

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
CAMERA = ('-r', 'image_raw:=camera/image_raw')
AT_REST = 0.02  # m/s


class Car:
    """The simulated car, its policy node, its recorder, and what they say."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.modes = peer.listen(ControlMode, 'policy_node/mode', LATCHED)
        self.states = peer.listen(PolicyState, 'policy_node/state', 10)
        self.odometry = peer.listen(Odometry, 'odom', qos_profile_sensor_data)
        self.recorder = peer.listen(RecorderStatus, 'recorder_node/status', LATCHED)

    @property
    def speed(self) -> float:
        self.peer.spin(0.0)
        return abs(self.odometry[-1].twist.twist.linear.x) if self.odometry else 0.0

    def look(self) -> None:
        """Take what has come."""
        for _ in range(50):
            self.peer.spin(0.0)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        self.peer.wait(condition, f'{what}: {self.modes[-1:]}')

    def stands(self) -> bool:
        return self.speed < AT_REST and self.modes[-1].mode in (0, 3)

    def stops(self) -> None:
        """As far as the override's timeout and braking let it, in simulated time."""
        began = self.now
        self.until(self.stands, 'it stands')
        assert self.now - began < 0.5 + 2.5 / 3.0 + 0.5

    @property
    def now(self) -> float:
        stamp = self.odometry[-1].header.stamp
        return float(stamp.sec + stamp.nanosec / 1e9)


@pytest.fixture(scope='module')
def car(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Car]:
    program()
    folder = tmp_path_factory.mktemp('car')
    timed: dict[str, Any] = {'autostart': True, 'use_sim_time': True}
    peer = Peer()
    with (
        running('simulator_node', folder / 'simulator.log', camera_rate=15.0),
        running('policy_node', folder / 'policy.log', *CAMERA, policy='track_cfc', **timed),
        running(
            'recorder_node', folder / 'recorder.log', output_directory=folder / 'bags', **timed
        ),
    ):
        car = Car(peer)
        car.until(lambda: car.states and car.recorder and car.odometry, 'the car is there')
        yield car
    peer.close()


@pytest.fixture(scope='module')
def view(car: Car, tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    log = tmp_path_factory.mktemp('view') / 'log'
    with viewing(log, *CAMERA, use_sim_time=True, top_speed=1.0) as view:
        yield view


@pytest.fixture(scope='module')
def browser() -> Iterator[Browser]:
    with browsing('--host-resolver-rules=MAP *.test 127.0.0.1') as browser:
        yield browser


@pytest.fixture
def page(view: View, browser: Browser, car: Car) -> Iterator[Page]:
    """The page, with everything on it, and a car that stands."""
    page = browser.tab(f'http://{view.root}/')
    shown = "document.body.dataset.mode && document.querySelector('#commands .bar')"
    page.wait(f"!!({shown}) && document.body.dataset.mode !== 'UNKNOWN'", 'the page shows the car')
    yield page
    with contextlib.suppress(OSError):
        browser.close(page)
    car.until(car.stands, 'it stands after all')


def test_page_shows_what_the_topics_say(page: Page, car: Car, view: View) -> None:
    page.wait("document.getElementById('camera').width === 160", 'a frame')
    page.wait("!document.getElementById('recorder').innerText.includes('no recorder')", 'recorder')
    car.look()
    assert page.text('mode') == 'DISENGAGED'
    assert car.modes[-1].reason in page.text('reason')
    state = car.states[-1]
    commands = page.text('commands')
    assert all(name in commands for name in state.command_names)
    assert '-0.50 … 0.50' in commands, 'the limits'
    assert all(name in page.text('sensors') for name in ('image', 'imu'))
    assert 'track_cfc' in page.text('policy')
    assert car.modes[-1].policy_hash[:8] in page.text('policy')
    assert 'of 20 Hz' in page.text('timing')
    assert 'free' in page.text('recorder')
    assert page.text('top-value') == '40 %, 1.0 m/s', 'the top speed of driving by hand'
    pixels = page.run(
        "Array.from(document.getElementById('camera').getContext('2d')"
        '.getImageData(0, 0, 160, 120).data)'
    )
    assert max(pixels[0::4]) > 100, 'no black frame'
    drawn = page.run(
        "document.getElementById('neurons-canvas').getContext('2d')"
        '.getImageData(0, 0, 300, 90).data.some((value) => value > 0)'
    )
    assert drawn, 'neurons'
    foreign = [
        url for url in page.requests
        if not url.startswith((f'http://{view.root}/', f'ws://{view.root}/', 'data:', 'blob:'))
    ]  # fmt: skip
    assert page.requests, 'something was asked for'
    assert not foreign, 'nothing is fetched from elsewhere'
    assert not page.errors


def test_space_engages_and_a_stop_pressed_stops(page: Page, car: Car) -> None:
    press(page, 'Space')
    car.until(lambda: car.speed > 0.5, 'the policy drives')
    page.wait("document.getElementById('mode').innerText === 'AUTONOMOUS'", 'it is shown')
    page.click('#stop')
    car.stops()
    page.wait("document.getElementById('mode').innerText === 'DISENGAGED'", 'it is shown')


def test_key_held_drives_and_its_release_stops(page: Page, car: Car) -> None:
    given = car.peer.listen(TwistStamped, 'cmd_vel_override', 100)
    page.key('KeyW', down=True)
    page.key('KeyA', down=True)
    car.until(lambda: car.speed > 0.5, 'it drives')
    page.wait("document.getElementById('holding').innerText === 'you drive'", 'it is shown')
    assert car.odometry[-1].twist.twist.angular.z > 0.1, 'to the left'
    stamps = [ns_of(each.header.stamp) for each in given]
    assert np.median(np.diff(stamps)) > 1e6, 'each when it was given, not when the page saw'
    page.key('KeyA', down=False)
    page.key('KeyW', down=False)
    car.stops()


@pytest.mark.parametrize('finger', [False, True], ids=['mouse', 'touch'])
def test_pad_held_drives_and_its_release_stops(page: Page, car: Car, finger: bool) -> None:
    x, y = page.middle('#pad')
    page.press(x, y - 80, finger=finger)
    car.until(lambda: car.speed > 0.5, 'it drives')
    page.release(x, y - 80, finger=finger)
    car.stops()


def test_gamepad_drives_while_a_shoulder_button_is_held(page: Page, car: Car) -> None:
    """One that the browser tells of: a headless one has none of its own."""
    page.click('#mode')  # a page that nobody has touched has no focus
    page.run(
        'window.pad = {connected: true, buttons: Array(8).fill().map(() => ({pressed: false})), '
        'axes: [-0.5, -0.6, 0, 0]}; navigator.getGamepads = () => [null, window.pad]; 0'
    )
    page.wait("document.getElementById('holding').innerText === 'not held'", 'the stick alone')
    page.run('window.pad.buttons[5].pressed = true')
    car.until(lambda: car.speed > 0.5, 'it drives')
    assert car.odometry[-1].twist.twist.angular.z > 0.1, 'to the left'
    page.run('window.pad.buttons[5].pressed = false')
    car.stops()


def test_page_without_the_focus_stops_although_the_key_is_held(
    page: Page, car: Car, browser: Browser
) -> None:
    page.key('KeyW', down=True)
    car.until(lambda: car.speed > 0.5, 'it drives')
    other = browser.tab()
    car.stops()
    browser.close(other)


def test_closed_tab_stops_the_robot(page: Page, car: Car, browser: Browser) -> None:
    page.key('KeyW', down=True)
    car.until(lambda: car.speed > 0.5, 'it drives')
    browser.close(page)
    car.stops()


def test_page_that_hangs_stops_the_robot(page: Page, car: Car) -> None:
    """As a laptop that is closed: nothing is sent any more, nothing is ended."""
    page.key('KeyW', down=True)
    car.until(lambda: car.speed > 0.5, 'it drives')
    page.begin('for (const end = Date.now() + 4000; Date.now() < end;);')
    car.stops()
    page.key('KeyW', down=False)


def test_buttons_ask_the_nodes(page: Page, car: Car) -> None:
    page.click('[data-action=start_episode]')
    car.until(lambda: car.recorder[-1].recording, 'an episode begins')
    page.wait("document.getElementById('recorder').innerText.includes('episode_')", 'it is shown')
    page.click('[data-action=discard_episode]')
    car.until(lambda: not car.recorder[-1].recording, 'it is discarded')
    page.click('.policy-name input')
    page.write('track_ltc')
    page.click('[data-action=shadow]')
    page.wait("document.getElementById('policy').innerText.includes('off by')", 'shadow')
    page.click('[data-action=promote]')
    car.until(lambda: car.modes[-1].policy == 'track_ltc', 'the shadow is promoted')
    page.click('[data-action=none]')
    page.wait(r"/shadow\s+none/.test(document.getElementById('policy').innerText)", 'no shadow')


def test_lesson_is_shown_while_there_is_one(page: Page, car: Car) -> None:
    panel = "document.getElementById('panel-teach')"
    assert page.run(f"{panel}.classList.contains('hidden')")
    out = car.peer.node.create_publisher(DiagnosticArray, 'teach/status', LATCHED)
    values = [KeyValue(key='share', value='0.25'), KeyValue(key='lap', value='2 of 3')]
    out.publish(
        DiagnosticArray(status=[DiagnosticStatus(message='Drive 3 laps by hand', values=values)])
    )
    page.wait(f"{panel}.innerText.includes('Drive 3 laps by hand')", 'what to do')
    assert '2 of 3' in page.text('teach')
    share = "document.querySelector('#teach .bar').style.getPropertyValue('--value')"
    assert page.run(share) == '25%'
    car.peer.node.destroy_publisher(out)


def test_page_of_others_cannot_move_the_robot(
    browser: Browser, view: View, car: Car, tmp_path: Path
) -> None:
    with hostile(tmp_path, view.port) as port:
        for name in ('127.0.0.1', 'localhost', 'evil.test'):
            page = browser.tab(f'http://{name}:{port}/')
            page.wait('document.title === "done"', 'all is tried')
            assert page.run('window.got') == [], name
            browser.close(page)
    page = browser.tab(f'http://evil.test:{view.port}/')  # a name of theirs for our machine
    page.wait("document.body.innerText.includes('this is not evil.test')", 'refused')
    browser.close(page)
    car.look()
    assert car.speed < AT_REST
    assert car.modes[-1].mode == ControlMode.DISENGAGED


HOSTILE = """<script type="module">
window.got = [];
const [name, ws] = ['http://127.0.0.1:PORT', 'ws://127.0.0.1:PORT'];
const socket = (path, words) => new Promise((done) => {
  const made = new WebSocket(ws + path);
  made.onopen = () => { got.push('open ' + path); made.send(words); };
  made.onmessage = (event) => got.push(`${path}: ${event.data}`);
  made.onclose = done;
});
await socket('/live', '{"do": "engage"}');
await socket('/_nicegui_ws/socket.io/?EIO=4&transport=websocket', '40');
for (const options of [{}, { method: 'POST', body: 'x' }]) {
  const asked = fetch(name + '/_nicegui_ws/socket.io/?EIO=4&transport=polling', options);
  await asked.then(async (answer) => got.push(await answer.text()), () => {});
}
const frame = document.body.appendChild(document.createElement('iframe'));
frame.src = name + '/';
await new Promise((done) => { frame.onload = frame.onerror = done; setTimeout(done, 1000); });
try { if (frame.contentDocument.getElementById('stop')) got.push('frame'); } catch { }
document.title = 'done';
</script>"""


@contextlib.contextmanager
def hostile(folder: Path, port: int) -> Iterator[int]:
    """A page of somebody else's, who knows where the view is."""
    (folder / 'index.html').write_text(f'<body>{HOSTILE.replace("PORT", str(port))}</body>')

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def press(page: Page, code: str) -> None:
    page.key(code, down=True)
    page.key(code, down=False)
