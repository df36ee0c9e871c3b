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
from rclpy.qos import QoSProfile
from rclpy.service import Service
from rclpy.timer import Timer
from std_srvs.srv import Trigger

from liquid_control.bags.errors import BagError
from liquid_control.msg import RecorderStatus
from liquid_control.nodes.lifecycle import ManagedNode, run
from liquid_control.nodes.parameters import read_parameters
from liquid_control.nodes.recording_config import RecorderConfig
from liquid_control.nodes.recording_episodes import Recording
from liquid_control.nodes.recording_session import Session

_STATUS_PERIOD = 1.0  # s, of wall time: a stopped simulation must not hide a full disk


class RecorderNode(ManagedNode):
    """Publishes `~/status` (RecorderStatus) once a second; parameters: `RecorderConfig`.

    Services, all std_srvs/Trigger: `~/start_episode`, `~/stop_episode`, `~/discard_episode`,
    `~/snapshot`.
    """

    def __init__(self) -> None:
        super().__init__('recorder_node')
        self._config = read_parameters(self, RecorderConfig)
        self._recording: Recording | None = None
        self._session: Session | None = None
        self._services_offered: list[Service] = []
        self._timers_running: list[Timer] = []
        self._received_before: Counter[str] = Counter()
        self._bytes_before = 0
        self._ticked_at = 0.0

    def setup(self) -> None:
        """Read the parameters, offer status and services."""
        self._config = read_parameters(self, RecorderConfig)
        self._status = self.create_publisher(RecorderStatus, '~/status', QoSProfile(depth=1))
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
        self._session = Session(
            config.output_directory,
            {
                'robot': config.robot,
                'host': socket.gethostname(),
                'recorder_parameters': {name: _plain(config)},
            },
        )
        self._recording = Recording(self, config, self._session)
        self._recording.poll()
        if config.start_on == 'activate':
            self._recording.begin('activation')
        self._received_before.clear()
        self._ticked_at = time.monotonic()
        wall = Clock(clock_type=ClockType.STEADY_TIME)
        self._timers_running = [
            self.create_timer(config.discovery_period, self._recording.poll, clock=wall),
            self.create_timer(_STATUS_PERIOD, self._tick, clock=wall),
        ]

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
            try:
                response.message = action(self._recording)
                response.success = True
            except BagError as error:
                response.message = str(error)
            return response

        return self.create_service(Trigger, f'~/{name}', answer)

    def _tick(self) -> None:
        if self._recording is not None and self._session is not None:
            self._recording.check()
            self._status.publish(self._status_message(self._recording, self._session))

    def _status_message(self, recording: Recording, session: Session) -> RecorderStatus:
        now = time.monotonic()
        seconds = now - self._ticked_at
        self._ticked_at = now
        names = sorted(recording.topics)
        message = RecorderStatus(
            disk_free=session.free_bytes(),
            problem=recording.problem,
            topics=names,
            rate=[(recording.received[n] - self._received_before[n]) / seconds for n in names],
            received=[0] * len(names),
            dropped=[0] * len(names),
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._received_before = recording.received.copy()
        episode = recording.episode
        if episode is None:
            self._bytes_before = 0
            return message
        writer = episode.writer
        message.recording = True
        message.episode = str(writer.path)
        message.duration = now - episode.started_at
        message.bytes_written = writer.bytes_written
        message.byte_rate = max(0, writer.bytes_written - self._bytes_before) / seconds
        message.queued = writer.queued
        message.received = [writer.received[name] for name in names]
        message.dropped = [writer.dropped[name] for name in names]
        self._bytes_before = writer.bytes_written
        return message


def _plain(config: RecorderConfig) -> dict[str, object]:
    """Return the parameters as YAML can hold them."""
    values = dataclasses.asdict(config)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


def main() -> None:
    """Run the recorder as a process."""
    sys.exit(run(RecorderNode))


if __name__ == '__main__':
    main()
