# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag onto the topics it was recorded from, with its own time on /clock.

The serialised bytes go straight through. Nodes under test run with `use_sim_time`, so that they
see the messages at the age they had on the robot, however fast the bag is played.
"""

from __future__ import annotations

import importlib
import math
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.time import Time
from rosbags.interfaces import QosDurability
from rosgraph_msgs.msg import Clock
from std_srvs.srv import SetBool

from liquid_control.bags.errors import BagError, TopicError
from liquid_control.bags.reader import BagMessage, BagReader
from liquid_control.common.assets import user_path
from liquid_control.common.errors import ConfigError
from liquid_control.common.stamps import NS
from liquid_control.nodes.common.lifecycle import ManagedNode, run
from liquid_control.nodes.common.parameters import guard_parameters, parameter, read_parameters

_DEPTH = 100  # messages kept for reliable subscribers that are behind
# A publisher learns of its subscriber before the subscriber learns of it, and what is published in
# between is lost to best-effort subscribers. In this time /clock shows where the bag begins: who
# judges the age of the first messages must know the time first.
_SETTLE_SECONDS = 0.5
# Time goes on for so long at the end of a round: who works at a rate takes what came last before
# time goes back, where it would be of the future.
_TAIL_NS = 100_000_000
_WAIT_SECONDS = 0.02  # between two looks at who subscribes
_PATIENCE = 5.0  # s after which somebody should know who is waited for
_ACKNOWLEDGE_SECONDS = 5.0
# Longer than this without a message is no pause to sit through, but a clock that was set.
_LONGEST_PAUSE_NS = 60 * NS
_LAST_NS = ((1 << 31) - 2) * NS  # ROS counts seconds in 32 bits


@dataclass(frozen=True)
class PlayerConfig:
    """The player's parameters."""

    bag: str = parameter('', 'Bag to play.')
    topics: tuple[str, ...] = parameter((), 'Topics to play, as named in the bag; none: all.')
    exclude: str = parameter('', 'Topics not to play: those whose whole name matches.')
    rate: float = parameter(1.0, 'Times the speed of the recording.', range=(0.01, 1000.0))
    start: float = parameter(0.0, 'Seconds of the bag to leave out.', range=(0.0, 1e9))
    end: float = parameter(0.0, 'Second of the bag to stop at; 0: its end.', range=(0.0, 1e9))
    loop: bool = parameter(False, 'Begin again at the end.')
    paused: bool = parameter(False, 'Begin paused.')
    wait_for: tuple[str, ...] = parameter(
        (), 'Topics of the bag that must have a subscriber before playing begins.'
    )
    clock_rate: float = parameter(
        200.0, "Publish the bag's time on /clock so many times a second; 0: never.",
        range=(0.0, 10_000.0),
    )  # fmt: skip

    def __post_init__(self) -> None:
        if not self.bag:
            raise ConfigError('parameter bag must name the bag to play, found nothing')
        if self.end and self.end <= self.start:
            raise ConfigError(f'parameter end must be after start, found {self.end}, {self.start}')
        try:
            re.compile(self.exclude)
        except re.error as error:
            raise ConfigError(
                f'parameter exclude must be a regular expression, found {self.exclude!r}: {error}'
            ) from error


class PlayerNode(ManagedNode):
    """Plays once and ends its process; `~/pause` (std_srvs/SetBool) halts and goes on.

    Parameters: `PlayerConfig`.
    """

    def __init__(self) -> None:
        super().__init__('player_node', autostart=True)
        self._config = read_parameters(self, PlayerConfig)
        guard_parameters(self, PlayerConfig, lambda: self.configured)
        self._bag: BagReader | None = None
        self._thread: threading.Thread | None = None
        self._change = threading.Condition()
        self._stopping = False
        self._paused = False
        self._played = 0

    def setup(self) -> None:
        """Open the bag, advertise its topics."""
        self._config = config = read_parameters(self, PlayerConfig)
        self._bag = BagReader(user_path(config.bag))
        self._publishers_by_topic = {
            topic: publisher
            for topic in self._chosen(self._bag)
            if (publisher := self._advertise(self._bag, topic)) is not None
        }
        missing = [name for name in config.wait_for if name not in self._publishers_by_topic]
        if missing or not self._publishers_by_topic:
            raise TopicError(
                f'nothing to play on {", ".join(missing) or "any topic"}: '
                f'{config.bag} has {", ".join(sorted(self._bag.topics))}'
            )
        self._clock_publisher = self.create_publisher(Clock, '/clock', QoSProfile(depth=10))
        self._pause_service = self.create_service(SetBool, '~/pause', self._pause)

    def start(self) -> None:
        """Begin to play."""
        self._stopping, self._paused, self._played = False, self._config.paused, 0
        self._thread = threading.Thread(target=self._run, name='play')
        self._thread.start()

    def stop(self) -> None:
        """Stop playing."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def release(self) -> None:
        """Close the bag; publishers go with the node."""
        if self._bag is not None:
            self._bag.close()
            self._bag = None

    def _chosen(self, bag: BagReader) -> list[str]:
        unknown = sorted(set(self._config.topics) - bag.topics.keys())
        if unknown:
            raise TopicError(
                f'{self._config.bag} has no topic {", ".join(unknown)}; '
                f'it has {", ".join(sorted(bag.topics))}'
            )
        return [
            topic
            for topic in self._config.topics or bag.topics
            if bag.message_counts[topic]
            and not (self._config.exclude and re.fullmatch(self._config.exclude, topic))
            and not (topic == '/clock' and self._config.clock_rate)
        ]

    def _advertise(self, bag: BagReader, topic: str) -> Publisher | None:
        package, _, name = bag.topics[topic].split('/')
        try:
            message_class = getattr(importlib.import_module(f'{package}.msg'), name)
        except (ImportError, AttributeError) as error:
            self.get_logger().warning(f'{topic} is not played: {bag.topics[topic]}: {error}')
            return None
        latched = any(
            qos.durability == QosDurability.TRANSIENT_LOCAL for qos in bag.offered_qos(topic)
        )
        durability = (
            QoSDurabilityPolicy.TRANSIENT_LOCAL if latched else QoSDurabilityPolicy.VOLATILE
        )
        return self.create_publisher(
            message_class, topic, QoSProfile(depth=_DEPTH, durability=durability)
        )

    def _run(self) -> None:
        """Play, in a thread of its own, and end the process when done."""
        assert self._bag is not None
        try:
            if self._wait_for_subscribers(self._bag):
                self.get_logger().info(f'playing {self._config.bag}')
                while self._play(self._bag) and self._config.loop:
                    pass
        except BagError as error:
            self.get_logger().error(str(error))
            self.exit_status = 1
            return
        if self._stopping:
            return
        for publisher in self._publishers_by_topic.values():
            publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE_SECONDS))
        self.get_logger().info(f'{self._played} messages played')
        self.exit_status = 0

    def _wait_for_subscribers(self, bag: BagReader) -> bool:
        waiting = [self._publishers_by_topic[topic] for topic in self._config.wait_for]
        impatient_at = time.monotonic() + _PATIENCE
        while waiting and not self._stopping:
            self._show(self._start_ns(bag))
            waiting = [p for p in waiting if p.get_subscription_count() == 0]
            if waiting and time.monotonic() > impatient_at:
                impatient_at = math.inf
                names = ', '.join(publisher.topic_name for publisher in waiting)
                self.get_logger().warning(f'waiting for somebody to subscribe {names}')
            with self._change:
                self._change.wait(_WAIT_SECONDS)
        return not self._stopping

    def _settle(self, start_ns: int) -> None:
        """Let everybody know the time before the first message, the first time and in a loop."""
        if self._config.clock_rate and self.count_publishers('/clock') > 1:
            self.get_logger().warning(
                'another node publishes /clock too, and time jumps between them: end it, or set '
                'clock_rate to 0',
                once=True,
            )
        end = time.monotonic() + _SETTLE_SECONDS
        while time.monotonic() < end and not self._stopping:
            self._show(start_ns)
            with self._change:
                self._change.wait(_WAIT_SECONDS)

    def _show(self, stamp_ns: int) -> None:
        if self._config.clock_rate:
            self._clock_publisher.publish(Clock(clock=Time(nanoseconds=stamp_ns).to_msg()))

    def _start_ns(self, bag: BagReader) -> int:
        return _begin_ns(bag) + round(self._config.start * NS)

    def _play(self, bag: BagReader) -> bool:
        """Play the bag once; False where playing was stopped."""
        start_ns = self._start_ns(bag)
        self._settle(start_ns)
        end_ns = min(bag.end_ns, _LAST_NS)
        if bag.start_ns < 0 or bag.end_ns > _LAST_NS:
            self.get_logger().warning(
                'messages before 1970 or after 2038 are not played: ROS has no such time',
                once=True,
            )
        if self._config.end:
            end_ns = _begin_ns(bag) + round(self._config.end * NS)
        messages = bag.messages(self._publishers_by_topic, start_ns=start_ns, end_ns=end_ns + 1)
        began = time.monotonic()
        for stamp_ns, message, gone_over_ns in self._timeline(messages, start_ns, end_ns):
            elapsed = (stamp_ns - start_ns - gone_over_ns) / NS / self._config.rate
            began = self._sleep_until(began, elapsed)
            if self._stopping:
                return False
            if message is None:
                self._show(stamp_ns)
            else:
                self._publishers_by_topic[message.topic].publish(bag.to_cdr(message))
                self._played += 1
        return True

    def _timeline(
        self, messages: Iterator[BagMessage], start_ns: int, end_ns: int
    ) -> Iterator[tuple[int, BagMessage | None, int]]:
        """Yield times that /clock shows (the last one at or after `end_ns`) and messages.

        Each with the time that has been gone over so far: a clock that was set is not waited for.
        """
        rate = self._config.clock_rate
        period_ns = round(NS / rate) if rate else 0
        tick_ns = last_ns = start_ns
        gone_over_ns = 0
        tail_ns = _TAIL_NS if self._config.loop else 0
        for message in chain(messages, [None]):
            if message is None and end_ns - last_ns > _LONGEST_PAUSE_NS:
                end_ns = last_ns
            last_tick_ns = end_ns + tail_ns + max(period_ns - 1, 0)
            stamp_ns = last_tick_ns if message is None else message.log_ns
            if stamp_ns - last_ns > _LONGEST_PAUSE_NS:
                self.get_logger().warning(
                    f'nothing was recorded for {(stamp_ns - last_ns) / NS:.0f} s: gone over'
                )
                gone_over_ns += stamp_ns - last_ns
                tick_ns = stamp_ns
            while period_ns and tick_ns <= stamp_ns:
                yield tick_ns, None, gone_over_ns
                tick_ns += period_ns
            if message is not None:
                yield stamp_ns, message, gone_over_ns
            last_ns = stamp_ns

    def _sleep_until(self, began: float, elapsed: float) -> float:
        """Sleep until `elapsed` seconds after `began`; return `began`, later by any pause."""
        with self._change:
            while not self._stopping:
                if self._paused:
                    halted = time.monotonic()
                    self._change.wait_for(lambda: self._stopping or not self._paused)
                    began += time.monotonic() - halted
                    continue
                remaining = began + elapsed - time.monotonic()
                if remaining <= 0:
                    break
                self._change.wait(remaining)
        return began

    def _pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        with self._change:
            self._paused = request.data
            self._change.notify_all()
        response.success = True
        response.message = 'paused' if request.data else 'playing'
        return response


def _begin_ns(bag: BagReader) -> int:
    """ROS has no time before 1970, where clocks that ran over have put messages."""
    return max(bag.start_ns, 0)


def main() -> None:
    """Run the player as a process."""
    sys.exit(run(PlayerNode))


if __name__ == '__main__':
    main()
