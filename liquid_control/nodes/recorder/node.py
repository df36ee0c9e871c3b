# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Records topics into bags, one per episode, whatever happens to the disk or the process.

Messages are subscribed raw and written as they came, by a thread of its own. Lifecycle: configured
it offers its services, active it follows the topics and records.
"""

from __future__ import annotations

import dataclasses
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.service import Service
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from liquid_control.bags.errors import BagError
from liquid_control.msg import RecorderStatus
from liquid_control.nodes.common.lifecycle import ManagedNode, run
from liquid_control.nodes.common.parameters import guard_parameters, read_parameters
from liquid_control.nodes.recorder.config import RecorderConfig
from liquid_control.nodes.recorder.episodes import Recording
from liquid_control.nodes.recorder.session import RecordingSession

_STATUS_PERIOD = 1.0  # s, of wall time: a stopped simulation must not hide a full disk


class RecorderNode(ManagedNode):
    """Publishes `~/status` (RecorderStatus) once a second and when an episode begins or ends.

    Parameters: `RecorderConfig`.

    Services, all std_srvs/Trigger: `~/start_episode`, `~/stop_episode`, `~/discard_episode`,
    `~/snapshot`.
    """

    def __init__(self) -> None:
        super().__init__('recorder_node')
        self._config = read_parameters(self, RecorderConfig)
        guard_parameters(self, RecorderConfig, lambda: self.configured)
        self._recording: Recording | None = None
        self._session: RecordingSession | None = None
        self._services_offered: list[Service] = []
        self._timers_running: list[Timer] = []
        self._received_before: Counter[str] = Counter()
        self._bytes_before = 0
        self._ticked_at = 0.0
        self._rates: dict[str, float] = {}  # Hz, over the last second
        self._byte_rate = 0.0  # B/s

    def setup(self) -> None:
        """Read the parameters, offer status and services."""
        self._config = read_parameters(self, RecorderConfig)
        self._status = self.create_publisher(
            RecorderStatus,
            '~/status',
            QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL),
        )
        actions: dict[str, Callable[[Recording], str]] = {
            'start_episode': lambda recording: recording.begin('service'),
            'stop_episode': lambda recording: recording.end('service'),
            'discard_episode': Recording.discard,
            'snapshot': Recording.snapshot,
        }
        for name, action in actions.items():
            self._services_offered.append(self._offer(name, action))

    def start(self) -> None:
        """Open a session and follow the topics; begin an episode if that is wanted."""
        config = self._config
        name = self.get_fully_qualified_name()
        self._session = RecordingSession(
            config.output_directory,
            {
                'robot': config.robot,
                **({'host': socket.gethostname()} if config.note_host else {}),
                'recorder_parameters': {name: _plain(config)},
            },
        )
        self._recording = Recording(self, config, self._session, self._publish_status)
        self._recording.poll()
        if config.start_on == 'activate':
            self._recording.begin('activation')
        self._received_before.clear()
        self._rates.clear()
        self._ticked_at = time.monotonic()
        self._publish_status()
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers_running = [
            self.create_timer(config.discovery_period, self._recording.poll, clock=wall),
            self.create_timer(_STATUS_PERIOD, self._tick, clock=wall),
        ]

    @property
    def finishing(self) -> bool:
        """The robot's last way, to rest, belongs to the episode."""
        return self._recording is not None and self._recording.finishing

    def stop(self) -> None:
        """End the episode and the session."""
        for timer in self._timers_running:
            self.destroy_timer(timer)
        self._timers_running = []
        if self._recording is not None:
            self._recording.close()
        self._recording = self._session = None

    def release(self) -> None:
        """Withdraw status and services."""
        self.stop()  # also after an activation that failed half-way
        for service in self._services_offered:
            self.destroy_service(service)
        self._services_offered = []

    def _offer(self, name: str, action: Callable[[Recording], str]) -> Service:
        def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            if self._recording is None:
                response.message = f'the recorder is {self.state}: activate it first'
                return response
            self._recording.catch_up()
            try:
                response.message = action(self._recording)
                response.success = True
            except BagError as error:
                response.message = str(error)
            return response

        return self.create_service(Trigger, f'~/{name}', answer)

    def _tick(self) -> None:
        recording = self._recording
        if recording is None:
            return
        recording.check()
        now = time.monotonic()
        seconds = now - self._ticked_at
        self._ticked_at = now
        received = recording.received()
        for name, count in received.items():
            self._rates[name] = (count - self._received_before[name]) / seconds
        self._received_before = received
        written = recording.episode.writer.bytes_written if recording.episode else 0
        self._byte_rate = max(0, written - self._bytes_before) / seconds
        self._bytes_before = written
        self._publish_status()

    def _publish_status(self) -> None:
        recording, session = self._recording, self._session
        if recording is None or session is None:
            return
        names = sorted(recording.topics)
        episode = recording.episode
        message = RecorderStatus(
            recording=episode is not None,
            disk_free=session.free_bytes(),
            problem=recording.problem,
            topics=names,
            rate=[self._rates.get(name, 0.0) for name in names],
            received=[episode.writer.received[name] if episode else 0 for name in names],
            dropped=[episode.writer.dropped[name] if episode else 0 for name in names],
        )
        message.header.stamp = self.get_clock().now().to_msg()
        if episode is not None:
            message.episode = str(episode.writer.path)
            message.duration = time.monotonic() - episode.started_at
            message.bytes_written = episode.writer.bytes_written
            message.byte_rate = self._byte_rate
            message.queued = episode.writer.queued
        self._status.publish(message)


def _plain(config: RecorderConfig) -> dict[str, object]:
    """Return the parameters as YAML can hold them, without the directory that they are kept in."""
    values = dataclasses.asdict(config)
    del values['output_directory']
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def main() -> None:
    """Run the recorder as a process."""
    sys.exit(run(RecorderNode))


if __name__ == '__main__':
    main()
