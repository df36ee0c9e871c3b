# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The page, in NiceGUI: what is on it and what its buttons do; live.js fills it in.

What changes many times a second comes over the page's own socket (live.py), and so do stop, engage
and a hand's commands: one connection, whose end stops the robot. NiceGUI carries the rest.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import ui
from starlette.requests import Request
from starlette.websockets import WebSocket

from liquid_control.common.assets import shipped_folder
from liquid_control.nodes.view.access import Role
from liquid_control.nodes.view.desk import Answer
from liquid_control.nodes.view.live import Live
from liquid_control.nodes.view.robot import RobotView

_STATIC = Path(__file__).with_name('static')
_ADDRESS = '/static'
_HINTS = (
    ('W A S D, arrows', 'drive while held'),
    ('space', 'stop; when it stands: engage'),
    ('gamepad', 'hold a shoulder button, left stick'),
    ('touch, mouse', 'hold the pad'),
)


def make_app(robot: RobotView, live: Live, title: str) -> FastAPI:
    """The application: page, static files, socket. Once in a process, as NiceGUI is."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    nicegui_app.add_static_files(_ADDRESS, _STATIC)

    @app.websocket('/live')
    async def serve_live(socket: WebSocket) -> None:
        await live.serve(socket, socket.scope['role'])

    @ui.page('/')
    def serve_page(request: Request) -> None:
        build(robot, request.scope['role'])

    ui.run_with(
        app,
        title=title,
        dark=None,
        tailwind=False,
        show_welcome_message=False,
        binding_refresh_interval=None,
        reconnect_timeout=10.0,
        favicon='<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">'
        '<circle cx="5" cy="5" r="4" fill="#1976d2"/></svg>',
    )
    return app


def build(robot: RobotView, role: Role) -> None:
    """Everything on the page; a page that only watches has no buttons that act."""
    ui.add_head_html(
        f'<link rel="stylesheet" href="{_ADDRESS}/view.css">'
        f'<script defer src="{_ADDRESS}/live.js"></script>'
    )
    ui.query('.nicegui-content').classes('view')
    drives = role == 'drive'
    _header(drives)
    with ui.element('main'):
        with ui.element('section').classes('left'):
            _camera()
            if drives:
                _hand()
        with ui.element('section').classes('right'):
            _panel('teach', 'Teach').classes('hidden')
            _panel('commands', 'Commands')
            _panel('sensors', 'Sensors')
            _panel('timing', 'Timing')
            _panel('neurons', 'Neurons', '<canvas id="neurons-canvas"></canvas>')
            with _panel('policy', 'Policy'):
                if drives:
                    _policies(robot)
            with _panel('recorder', 'Recorder'):
                if drives:
                    _episodes(robot)


def _header(drives: bool) -> None:
    with ui.element('header'):
        ui.html('<b id="mode">...</b><span id="reason"></span>', sanitize=False)
        ui.html('<span id="link" class="bad">not connected</span>', sanitize=False)
        if drives:
            ui.html(
                '<button id="engage" type="button">ENGAGE</button>'
                '<button id="stop" type="button">STOP</button>',
                sanitize=False,
            ).classes('big')


def _camera() -> None:
    ui.html(
        '<canvas id="camera" width="160" height="120"></canvas>'
        '<canvas id="scan" style="display: none"></canvas>'
        '<div id="cameras"></div><div id="camera-note">no frame yet</div>',
        sanitize=False,
    ).classes('camera')


def _hand() -> None:
    hints = ''.join(f'<dt>{key}</dt><dd>{what}</dd>' for key, what in _HINTS)
    with _panel('hand', 'Drive by hand'):
        ui.html(
            '<div class="hand"><div id="pad"><i id="stick"></i></div><div>'
            '<label>top speed <input id="top" type="range" min="10" max="100" value="60">'
            '<output id="top-value">60 %</output></label>'
            f'<div id="axes"></div><div id="holding">not held</div><dl>{hints}</dl></div></div>',
            sanitize=False,
        )


def _policies(robot: RobotView) -> None:
    """Swap, shadow and promote."""
    folder = shipped_folder() / 'models'
    known = sorted(path.parent.name for path in folder.glob('*/policy.yaml'))
    hint = f'name or path, such as {", ".join(known)}'
    chosen = ui.input(placeholder=hint, autocomplete=known).props('dense outlined maxlength=1024')
    chosen.classes('policy-name')

    def load(slot: str) -> Callable[[], Awaitable[None]]:
        return _telling(lambda: robot.desk.load(slot, chosen.value))

    with ui.row():
        _button('swap', 'swap', load('policy'), 'this policy drives from the next tick on')
        _button('shadow', 'shadow', load('shadow_policy'), 'runs beside, cannot actuate')
        none = _telling(lambda: robot.desk.load('shadow_policy', ''))
        _button('none', 'no shadow', none, 'end the shadow')
        _button('promote', 'promote', _telling(robot.desk.promote), 'the shadow drives')


def _episodes(robot: RobotView) -> None:
    with ui.row():
        for action, label in (
            ('start_episode', 'start'),
            ('stop_episode', 'stop'),
            ('discard_episode', 'discard'),
            ('snapshot', 'snapshot'),
        ):
            ask = _telling(partial(robot.desk.episode, action))
            _button(action, label, ask, f'{action.replace("_", " ")} of the recorder')


def _panel(name: str, title: str, content: str = '') -> Any:
    """A box with a title, filled by live.js, and room for buttons below."""
    panel = ui.element('article').props(f'id=panel-{name}')
    with panel:
        ui.html(f'<h2>{title}</h2><div id="{name}">{content}</div>', sanitize=False)
    return panel


def _button(name: str, label: str, act: Callable[[], Awaitable[None]], hint: str) -> None:
    button = ui.button(label, on_click=act).tooltip(hint)
    button.props(f'dense no-caps outline data-action={name}')


def _telling(ask: Callable[[], Awaitable[Answer]]) -> Callable[[], Awaitable[None]]:
    """Ask, and show what became of it."""

    async def act() -> None:
        answer = await ask()
        ui.notify(answer.text, type='positive' if answer.done else 'negative')

    return act
