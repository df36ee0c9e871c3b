# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The page's own socket: what the robot does goes out, frames too, and a hand's commands come in.

Every text that goes out carries a number, and every one that comes in names the newest that the
page has got. So it is known how old what a page sends is at most, without comparing clocks: what
lay in a network that was gone for a while is refused, and a command is dated by what its page had
seen, and for how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import struct
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from builtin_interfaces.msg import Time
from starlette.websockets import WebSocket, WebSocketDisconnect

from liquid_control.common.stamps import ns_of
from liquid_control.nodes.view.access import Role
from liquid_control.nodes.view.camera import CameraView
from liquid_control.nodes.view.desk import Answer
from liquid_control.nodes.view.hand import HandError, Wheel, command, given_ns
from liquid_control.nodes.view.link import Link
from liquid_control.nodes.view.robot import RobotView

MAX_MESSAGE = 2048  # characters of what a page sends; a hand of 64 axes needs less
TICK = 1 / 30  # s; frames are looked for as often
_TICKS_A_SNAPSHOT = 3
_UNANSWERED = 3  # snapshots on their way to one page at most
_SILENCE = 10.0  # s without a word from a page after which it is given up
_COMPLAIN_EVERY = 3.0  # s
_MESSAGES_A_SECOND = 100.0
# A hand's command counts when its page has seen something that is younger than this share of the
# override's timeout; a page is told something every 0.1 s.
_FRESH = 0.8
_POLICY_VIOLATION, _TRY_AGAIN, _GOING_AWAY = 1008, 1013, 1001


class Viewer:
    """One page: what is on its way to it, and what it may do."""

    def __init__(self, socket: WebSocket, role: Role, period: float) -> None:
        self.name = secrets.token_hex(4)
        self.socket, self.role = socket, role
        self.link = Link(period)
        self.heard = time.monotonic()
        self.camera = ''
        """By name; '' for the first."""
        self.frame: tuple[CameraView | None, int] = (None, 0)
        """The newest that was sent: of which camera, and its number."""
        self._number = 0
        self._sent: OrderedDict[int, tuple[float, Time]] = OrderedDict()
        self._waiting: list[str | bytes] = []
        self._wake = asyncio.Event()
        self._complaint = ('', 0.0)
        self._allowance, self._counted = _MESSAGES_A_SECOND, time.monotonic()

    def say(self, **values: Any) -> None:
        """Send something besides snapshots."""
        self._put(json.dumps(values))

    def complain(self, text: str, now: float) -> None:
        """Tell why something was refused, the same not too often: a hand repeats itself."""
        if text != self._complaint[0] or now - self._complaint[1] > _COMPLAIN_EVERY:
            self._complaint = (text, now)
            self.say(said=text, done=False)

    def offer(self, snapshot: str, now: float, stamp: Time) -> None:
        """Send a snapshot (a JSON object), unless the page has not got the last ones yet."""
        last = next(reversed(self._sent.values()))[0] if self._sent else 0.0
        if len(self._sent) >= _UNANSWERED and now - last < 1.0:
            return
        self._number += 1
        self._sent[self._number] = (now, stamp)
        while len(self._sent) > 2 * _UNANSWERED:
            self._sent.popitem(last=False)
        self._put(f'{{"n":{self._number},{snapshot[1:]}')

    def show(self, jpeg: bytes, frame: tuple[CameraView, int], now: float) -> None:
        """Send a frame."""
        self.frame = frame
        self._put(struct.pack('<I', self.link.sent(now)) + jpeg)

    def seen(self, number: object, now: float) -> tuple[float, Time]:
        """The page has got a snapshot: when it was sent, monotonic (s) and as a stamp.

        Raises:
            HandError: none of the last ones.
        """
        found = self._sent.get(number) if isinstance(number, int) else None
        if found is None:
            raise HandError('the link is too slow to drive over')
        while next(iter(self._sent)) != number:
            self._sent.popitem(last=False)
        return found

    def allows(self, now: float) -> bool:
        """Whether the page may send one more message."""
        gained = (now - self._counted) * _MESSAGES_A_SECOND
        self._allowance = min(self._allowance + gained, 2 * _MESSAGES_A_SECOND) - 1
        self._counted = now
        return self._allowance >= 0

    async def send(self) -> None:
        """Send what waits, until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            for each in waiting:
                if isinstance(each, bytes):
                    await self.socket.send_bytes(each)
                else:
                    await self.socket.send_text(each)

    def _put(self, message: str | bytes) -> None:
        self._waiting.append(message)
        self._wake.set()


class Live:
    """All pages that are open, in the server's loop."""

    def __init__(
        self,
        robot: RobotView,
        now: Callable[[], Time],
        *,
        period: float,
        max_viewers: int,
        on_error: Callable[[str], None],
    ) -> None:
        """Nobody is let in before `open` is set.

        Args:
            now: tells the time that stamps are in.
            period: between two frames to a viewer at least, s.
            on_error: told of a defect; the pages go on.
        """
        self._robot = robot
        self._now = now
        self._period = period
        self._max_viewers = max_viewers
        self._on_error = on_error
        self._wheel = Wheel()
        self._handover = False
        self._stopped = ''
        self._tasks: set[asyncio.Task[None]] = set()
        self.viewers: dict[str, Viewer] = {}
        self.open = False
        """Whether the view's node is active."""

    async def serve(self, socket: WebSocket, role: Role) -> None:
        """One page, from its opening to its end."""
        await socket.accept()
        if not self.open or len(self.viewers) >= self._max_viewers:
            await socket.close(_TRY_AGAIN, 'inactive' if not self.open else 'too many viewers')
            return
        viewer = Viewer(socket, role, self._period)
        self.viewers[viewer.name] = viewer
        viewer.say(you=viewer.name, role=role)
        sender = asyncio.create_task(viewer.send())
        try:
            await self._listen(viewer)
        except (WebSocketDisconnect, RuntimeError):  # RuntimeError: closed while it was written to
            pass
        finally:
            sender.cancel()
            self.viewers.pop(viewer.name, None)
            if self._wheel.release(viewer.name):
                self._lost()
            with contextlib.suppress(asyncio.CancelledError, RuntimeError, WebSocketDisconnect):
                await sender

    async def run(self) -> None:
        """Keep the pages up to date, until cancelled."""
        tick = 0
        while True:
            await asyncio.sleep(TICK)
            tick += 1
            try:
                self._renew(tick, time.monotonic())
            except Exception:
                self._on_error(f'defect in the view:\n{traceback.format_exc()}')

    def _renew(self, tick: int, now: float) -> None:
        if self._wheel.lost(now):
            self._lost()
        for viewer in list(self.viewers.values()):
            if not self.open or now - viewer.heard > _SILENCE:
                self._start(self._dismiss(viewer, _GOING_AWAY))
        self._robot.attend(bool(self.viewers), now)
        if self.viewers:
            self._show_frames(now)
            if tick % _TICKS_A_SNAPSHOT == 0:
                self._show_snapshot(now)

    def _show_snapshot(self, now: float) -> None:
        snapshot = self._robot.snapshot()
        snapshot['hand'] = self._wheel.holder
        snapshot['viewers'] = len(self.viewers)
        text, stamp = json.dumps(snapshot, separators=(',', ':')), self._now()
        for viewer in self.viewers.values():
            viewer.offer(text, now, stamp)

    def _show_frames(self, now: float) -> None:
        looked: set[CameraView] = set()
        for viewer in self.viewers.values():
            camera = self._robot.camera(viewer.camera) if viewer.link.ready(now) else None
            if camera is None:
                continue
            if camera not in looked:
                camera.look()
                looked.add(camera)
            if viewer.frame != (camera, camera.number) and (jpeg := camera.jpeg(viewer.link.size)):
                viewer.show(jpeg, (camera, camera.number), now)

    async def _listen(self, viewer: Viewer) -> None:
        while True:
            text = await viewer.socket.receive_text()
            viewer.heard = now = time.monotonic()
            if len(text) > MAX_MESSAGE or not viewer.allows(now):
                await self._dismiss(viewer, _POLICY_VIOLATION)
                return
            try:
                message = json.loads(text)
            except ValueError:
                message = None
            if not isinstance(message, dict):
                await self._dismiss(viewer, _POLICY_VIOLATION)
                return
            self._take(viewer, message, now)

    def _take(self, viewer: Viewer, message: dict[str, Any], now: float) -> None:
        """What a page says; what it may not or cannot is answered, and changes nothing."""
        if isinstance(frame := message.get('f'), int):
            viewer.link.acknowledged(frame, now)
        if isinstance(camera := message.get('camera'), str):
            viewer.camera = camera
        try:
            seen = viewer.seen(message['n'], now) if 'n' in message else None
            if ('hand' in message or 'do' in message) and viewer.role != 'drive':
                raise HandError('this page only watches')
            if 'hand' in message:
                self._steer(viewer, message['hand'], seen, message.get('had'), now)
            if 'do' in message:
                self._start(self._do(viewer, message['do'], message.get('shown')))
        except HandError as error:
            viewer.complain(str(error), now)

    def _steer(
        self,
        viewer: Viewer,
        asked: object,
        seen: tuple[float, Time] | None,
        had: object,
        now: float,
    ) -> None:
        """A hand moves, or lets go (None). Raises HandError.

        Args:
            seen: what its page had seen, when it was sent.
            had: for how long, as the page says, s.
        """
        if asked is None:
            if self._stopped == viewer.name:
                self._stopped = ''
            if self._wheel.release(viewer.name):
                self._let_go()
            return
        if self._stopped == viewer.name:
            raise HandError('stopped: let go first')
        facts = self._robot.facts
        values = command(facts.axes, asked, self._robot.sent)
        if seen is None or now - seen[0] > _FRESH * facts.override_timeout:
            raise HandError('the link is too slow to drive over')
        if self._wheel.grip(viewer.name, now):
            # Whoever takes the wheel has it until the policy is engaged again: a hand that lets
            # go, or is gone, stops the robot.
            self._handover = False
            self._start(self._answer(viewer, self._robot.desk.engage(False), tell=False))
        times = ns_of(seen[1]), ns_of(self._now())
        self._robot.overrides.publish(values, given_ns(*times, passed=now - seen[0], had=had))

    def _let_go(self) -> None:
        """The person says so: stop at once, unless the policy is to go on."""
        if not self._handover:
            self._robot.overrides.stop(ns_of(self._now()))

    def _lost(self) -> None:
        """The person is gone: nobody goes on."""
        self._robot.overrides.stop(ns_of(self._now()))
        self._start(self._discard(self._robot.desk.engage(False)))

    async def _do(self, viewer: Viewer, what: object, shown: object) -> None:
        """Engage or stop; the key asks for what helps with what its page showed."""
        robot = self._robot
        if what == 'space':
            stands = not robot.driving and shown in (0, 3)
            what = 'engage' if stands else 'stop'
        if what == 'stop':
            if self._wheel.holder:
                self._stopped = self._wheel.holder
                self._wheel.release(self._wheel.holder)
                robot.overrides.stop(ns_of(self._now()))
            await self._answer(viewer, robot.desk.engage(False))
        elif what == 'engage':
            self._handover = bool(self._wheel.holder)
            await self._answer(viewer, robot.desk.engage(True))
        else:
            viewer.say(said='no such action', done=False)

    async def _answer(
        self, viewer: Viewer, asked: Coroutine[Any, Any, Answer], *, tell: bool = True
    ) -> None:
        answer = await asked
        if tell or not answer.done:
            viewer.say(said=answer.text, done=answer.done)

    async def _discard(self, asked: Coroutine[Any, Any, Answer]) -> None:
        await asked

    async def _dismiss(self, viewer: Viewer, code: int) -> None:
        self.viewers.pop(viewer.name, None)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await viewer.socket.close(code)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """In the background; the loop keeps no reference to it itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
