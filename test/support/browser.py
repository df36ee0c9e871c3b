# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a screen, steered over its DevTools protocol."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ('chromium', 'chromium-browser', 'google-chrome')
TIMEOUT = 30.0  # s, generous: it only ends tests that fail


def program() -> str:
    """Where the browser is; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        pytest.skip('no Chromium: apt-get install chromium (chromium-browser on Ubuntu)')
    return found


class Page:
    """One tab."""

    def __init__(self, address: str, identity: str) -> None:
        """address: of its DevTools socket."""
        from websockets.sync.client import connect

        self.identity = identity
        self._socket = connect(address, max_size=1 << 26, ping_interval=None).__enter__()
        self._number = 0
        self.requests: list[str] = []
        """Addresses of everything that the page has asked for."""
        self.errors: list[str] = []
        """What it complained about."""
        for domain in ('Page', 'Network', 'Runtime', 'Log'):
            self.send(f'{domain}.enable')

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol."""
        self._number += 1
        call = {'id': self._number, 'method': method, 'params': parameters}
        self._socket.send(json.dumps(call))
        while True:
            answer = json.loads(self._socket.recv(TIMEOUT))
            if answer.get('id') == self._number:
                assert 'error' not in answer, answer
                return dict(answer['result'])
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get('params', {})
        if event['method'] == 'Network.requestWillBeSent':
            self.requests.append(parameters['request']['url'])
        elif event['method'] == 'Network.webSocketCreated':
            self.requests.append(parameters['url'])
        elif event['method'] == 'Runtime.exceptionThrown':
            self.errors.append(str(parameters['exceptionDetails']))
        elif event['method'] == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.errors.append(parameters['entry']['text'] + parameters['entry'].get('url', ''))

    def open(self, url: str) -> None:
        """Go to an address."""
        self.send('Page.navigate', url=url)

    def run(self, script: str) -> Any:
        """Value of an expression in the page."""
        result = self.send(
            'Runtime.evaluate', expression=script, returnByValue=True, awaitPromise=True
        )
        assert 'exceptionDetails' not in result, result
        return result['result'].get('value')

    def wait(self, script: str, what: str, meanwhile: Callable[[], Any] = lambda: None) -> Any:
        """Until an expression is true in the page."""
        deadline = time.monotonic() + TIMEOUT
        # A page that is still being built throws.
        script = f'(() => {{ try {{ return {script} }} catch {{ return null }} }})()'
        while not (value := self.run(script)):
            assert time.monotonic() < deadline, f'timeout: {what}\n{self.text()}\n{self.errors}'
            meanwhile()
            time.sleep(0.02)
        return value

    def text(self, element: str = '') -> str:
        """What is written in an element, by its id, or on the page."""
        where = f'document.getElementById({element!r})' if element else 'document.body'
        return str(self.run(f'{where}?.innerText ?? ""'))

    def key(self, code: str, *, down: bool) -> None:
        """Press or release a key; code: as `KeyW`, `Space`."""
        text = {'Space': ' ', 'Enter': '\r'}.get(code, code.removeprefix('Key').lower())
        self.send(
            'Input.dispatchKeyEvent',
            type='keyDown' if down else 'keyUp',
            code=code,
            key='Enter' if code == 'Enter' else text,
            windowsVirtualKeyCode=ord(text.upper()),
            text=text if down else '',
        )

    def write(self, text: str) -> None:
        """Into what has the focus."""
        self.send('Input.insertText', text=text)

    def middle(self, selector: str) -> tuple[float, float]:
        """Of an element, scrolled into view."""
        box = self.run(
            f'(() => {{ const it = document.querySelector({selector!r}); '
            "it.scrollIntoView({block: 'center'}); "
            'const box = it.getBoundingClientRect(); '
            'return [box.x + box.width / 2, box.y + box.height / 2]; })()'
        )
        return box[0], box[1]

    def mouse(self, what: str, x: float, y: float) -> None:
        """`mousePressed` or `mouseReleased`, there."""
        self.send('Input.dispatchMouseEvent', type=what, x=x, y=y, button='left', clickCount=1)

    def press(self, x: float, y: float, *, finger: bool = False) -> None:
        """Hold the mouse or a finger there."""
        if finger:
            self.send(
                'Input.dispatchTouchEvent', type='touchStart', touchPoints=[{'x': x, 'y': y}]
            )
        else:
            self.mouse('mousePressed', x, y)

    def release(self, x: float, y: float, *, finger: bool = False) -> None:
        """What `press` holds."""
        if finger:
            self.send('Input.dispatchTouchEvent', type='touchEnd', touchPoints=[])
        else:
            self.mouse('mouseReleased', x, y)

    def begin(self, script: str) -> None:
        """Run statements in the page without waiting for their end."""
        self.run(f'setTimeout(() => {{ {script} }}, 0)')

    def click(self, selector: str) -> None:
        """Press the mouse in the middle of an element."""
        x, y = self.middle(selector)
        self.mouse('mousePressed', x, y)
        self.mouse('mouseReleased', x, y)

    def screenshot(self, file: Path) -> None:
        """Write what it looks like."""
        data = self.send('Page.captureScreenshot')['data']
        file.write_bytes(base64.b64decode(data))


class Browser:
    """See `browsing`."""

    def __init__(self, root: str) -> None:
        self._root = root

    def tab(self, url: str = 'about:blank') -> Page:
        """A new tab, in front."""
        request = urllib.request.Request(f'{self._root}/json/new?about:blank', method='PUT')
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            about = json.load(response)
        page = Page(about['webSocketDebuggerUrl'], about['id'])
        if url != 'about:blank':
            page.open(url)
        return page

    def close(self, page: Page) -> None:
        """As a click on the tab's cross."""
        urllib.request.urlopen(f'{self._root}/json/close/{page.identity}', timeout=TIMEOUT).close()


@contextlib.contextmanager
def browsing(*options: str, size: str = '1280,1000') -> Iterator[Browser]:
    """Start the browser, and end it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        process = subprocess.Popen(
            [
                program(),
                '--headless=new',
                '--no-sandbox',  # tests run as root in containers
                '--disable-gpu',
                '--disable-dev-shm-usage',
                '--no-first-run',
                '--disable-background-networking',
                '--disable-component-update',
                f'--window-size={size}',
                f'--user-data-dir={home}',
                '--remote-debugging-port=0',
                *options,
                'about:blank',
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield Browser(f'http://127.0.0.1:{_port(Path(home), process)}')
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _port(home: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + TIMEOUT
    file = home / 'DevToolsActivePort'
    while not (file.exists() and file.read_text().strip()):
        assert process.poll() is None, 'the browser has ended'
        assert time.monotonic() < deadline, 'the browser does not answer'
        time.sleep(0.05)
    return int(file.read_text().split()[0])
