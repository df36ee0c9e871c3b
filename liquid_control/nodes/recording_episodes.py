"""All that exists while the recorder is active: session, subscriptions, episode and snapshots."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from rclpy.node import Node

from liquid_control.bags.background import BackgroundWriter, ReceivedMessage
from liquid_control.bags.errors import BagError
from liquid_control.bags.mcap_file import Compression
from liquid_control.bags.ring import RingBuffer
from liquid_control.bags.writer import BagWriter
from liquid_control.nodes.recording_config import RecorderConfig
from liquid_control.nodes.recording_policy import PolicyFollower
from liquid_control.nodes.recording_session import Session
from liquid_control.nodes.recording_topics import RecordedTopic, TopicWatcher

_MODE_TYPE = 'liquid_control/msg/ControlMode'


@dataclasses.dataclass
class Episode:
    """An episode being recorded.

    Attributes:
        clock_started: False until simulated time has begun; nothing is written before.
    """

    writer: BackgroundWriter
    started_by: str
    started_at: float
    takeovers_before: int
    policies: list[dict[str, str]]
    clock_started: bool = False


class Recording:
    """One session of recording.

    Args:
        on_change: Called when an episode has begun or ended.

    Attributes:
        episode: The one being recorded, None between episodes.
        received: Messages by topic, recorded or not.
        problem: Why recording stopped or cannot start; empty when all is well.

    Raises:
        BagError: The session's directory cannot be written.
    """

    def __init__(
        self,
        node: Node,
        config: RecorderConfig,
        session: Session,
        on_change: Callable[[], None],
    ) -> None:
        self.episode: Episode | None = None
        self.received: Counter[str] = Counter()
        self.problem = ''
        self._node = node
        self._config = config
        self._session = session
        self._on_change = on_change
        self._snapshots: list[BackgroundWriter] = []
        self._ring = (
            RingBuffer(max_ns=config.snapshot_ns, max_bytes=config.snapshot_bytes)
            if config.snapshot_ns
            else None
        )
        self._mode_topic = node.resolve_topic_name(config.mode_topic)
        self._follower = PolicyFollower(node, self._mode_topic, self._engaged)
        self._watcher = TopicWatcher(
            node, config, on_topic=self._add_topic, on_message=self._receive
        )

    @property
    def topics(self) -> Mapping[str, RecordedTopic]:
        """Topics subscribed, by name."""
        return self._watcher.topics

    def poll(self) -> None:
        """Look for new topics."""
        self._watcher.poll()

    def begin(self, started_by: str) -> str:
        """Begin an episode; return its directory.

        Raises:
            BagError: One is being recorded already, or nothing can be written.
        """
        if self.episode is not None:
            raise BagError(f'{self.episode.writer.path} is being recorded: stop it first')
        try:
            writer = self._open_bag('episode')
        except BagError as error:
            self._report(str(error))
            raise
        self.problem = ''
        policies = [self._follower.policy] if self._follower.policy else []
        self.episode = Episode(
            writer, started_by, time.monotonic(), self._follower.takeovers, policies
        )
        self._start_clock(self._now_ns())
        self._node.get_logger().info(f'{writer.path.name} begins: {started_by}')
        self._on_change()
        return str(writer.path)

    def end(self, ended_by: str) -> str:
        """Finish the episode; return what became of it, in words.

        Raises:
            BagError: None is being recorded, or it could not be written to its end.
        """
        episode = self._take_episode()
        writer = episode.writer
        writer.close()
        self._note_policy(episode)
        messages = writer.received.total() - writer.dropped.total()
        text = f'{writer.path} ends: {ended_by}; {messages} messages'
        self._node.get_logger().info(text)
        if writer.dropped:
            self._node.get_logger().warning(
                f'{writer.path.name} lacks messages that the disk was too slow for: '
                f'{dict(writer.dropped)}'
            )
        self._session.description['policy_parameters'] = self._follower.parameters
        self._session.add_episode(
            {
                'path': writer.path.name,
                'started_by': episode.started_by,
                'ended_by': ended_by,
                'duration': round(time.monotonic() - episode.started_at, 3),
                'policies': episode.policies,
                'takeovers': self._follower.takeovers - episode.takeovers_before,
                'messages': messages,
                'bytes': writer.bytes_written,
                'dropped': dict(writer.dropped),
            }
        )
        if writer.error is not None:
            self._report(str(writer.error))
        self._on_change()
        if writer.error is not None:
            raise writer.error
        return text

    def discard(self) -> str:
        """Delete the episode being recorded; return what was done, in words."""
        writer = self._take_episode().writer
        writer.discard()
        text = f'{writer.path} discarded'
        self._node.get_logger().info(text)
        self._on_change()
        return text

    def snapshot(self) -> str:
        """Begin to write what led up to now; return where, in words.

        Raises:
            BagError: Nothing is kept or nothing can be written.
        """
        if self._ring is None:
            raise BagError('no snapshot is kept: set snapshot_duration, then configure again')
        messages = self._ring.messages()
        if not messages:
            raise BagError('nothing to write: no message was received yet')
        writer = self._open_bag('snapshot')
        self._put_latched(writer, messages[0].log_ns)
        writer.put_all(messages)
        writer.close(wait=False)
        self._snapshots.append(writer)
        return f'{writer.path}: {len(messages)} messages'

    def check(self) -> None:
        """See to changed publishers, finished snapshots, a disk that is nearly full or fails."""
        self._watcher.poll(thorough=True)
        for snapshot in [s for s in self._snapshots if not s.is_alive]:
            self._snapshots.remove(snapshot)
            if snapshot.error is not None:
                self._report(str(snapshot.error))
        if self.episode is None:
            return
        self._note_policy(self.episode)
        full = self._disk_problem()
        if self.episode.writer.error is not None:
            self._end_quietly('write error')
        elif full:
            self._end_quietly('disk nearly full')
            self._report(full)

    def close(self) -> None:
        """End the episode, wait for snapshots, unsubscribe."""
        self._watcher.close()
        self._follower.close()
        if self.episode is not None:
            self._end_quietly('deactivation')
        for snapshot in self._snapshots:
            snapshot.close()

    def _receive(self, topic: RecordedTopic, data: bytes, info: Mapping[str, int]) -> None:
        self.received[topic.name] += 1
        now_ns = self._now_ns()
        if now_ns == 0:  # simulated time has not begun
            self._understand(topic, data)
            return
        log_ns = publish_ns = now_ns
        if not self._node.get_clock().ros_time_is_active:
            # The middleware's stamps are nearer to the truth than the time of this call.
            log_ns = info['received_timestamp'] or now_ns
            publish_ns = info['source_timestamp'] or now_ns
        message = ReceivedMessage(topic.name, data, log_ns, publish_ns)
        if self._ring is not None:
            self._ring.put(message)
        if self.episode is not None:
            self._start_clock(now_ns)
            self.episode.writer.put(message)
        self._understand(topic, data)

    def _understand(self, topic: RecordedTopic, data: bytes) -> None:
        """Act on a message that is recorded already: an episode it begins has it as latched."""
        if topic.transient_local:
            topic.latched.append(data)
        if topic.name == self._mode_topic and topic.definition.msgtype == _MODE_TYPE:
            self._follower.receive(data)

    def _add_topic(self, topic: RecordedTopic) -> None:
        if self.episode is not None:
            _add(self.episode.writer, topic)

    def _open_bag(self, kind: str) -> BackgroundWriter:
        full = self._disk_problem()
        if full:
            raise BagError(full)
        bag = BagWriter(
            self._session.next_path(kind),
            compression=cast(Compression, self._config.compression),
            split_bytes=self._config.split_bytes,
            split_ns=self._config.split_ns,
            custom_data=self._session.origin,
        )
        writer = BackgroundWriter(bag, max_bytes=self._config.cache_bytes)
        for topic in self.topics.values():
            _add(writer, topic)
        return writer

    def _start_clock(self, now_ns: int) -> None:
        """Begin an episode, as soon as time has, with what latched topics said before."""
        if self.episode is not None and not self.episode.clock_started and now_ns:
            self.episode.clock_started = True
            self._put_latched(self.episode.writer, now_ns)

    def _put_latched(self, writer: BackgroundWriter, log_ns: int) -> None:
        for topic in self.topics.values():
            for data in topic.latched:
                writer.put(ReceivedMessage(topic.name, data, log_ns, log_ns))

    def _engaged(self, engaged: bool) -> None:
        if self._config.start_on != 'engage':
            return
        if engaged and self.episode is None:
            with suppress(BagError):  # reported by begin; engaging again is another try
                self.begin('engaged')
        elif not engaged and self.episode is not None:
            self._end_quietly('disengaged')

    def _end_quietly(self, ended_by: str) -> None:
        try:
            self.end(ended_by)
        except BagError as error:
            self._report(str(error))

    def _take_episode(self) -> Episode:
        if self.episode is None:
            raise BagError('no episode is being recorded: start one first')
        episode, self.episode = self.episode, None
        return episode

    def _note_policy(self, episode: Episode) -> None:
        policy = self._follower.policy
        if policy and policy not in episode.policies:
            episode.policies.append(policy)

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            self._node.get_logger().error(problem)

    def _disk_problem(self) -> str:
        free = self._session.free_bytes()
        if free >= self._config.min_free_bytes:
            return ''
        return (
            f'{free // 1_000_000} MB free on the disk of {self._session.directory}, '
            f'min_free_disk is {self._config.min_free_disk} MB: delete or move recordings'
        )

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def _add(writer: BackgroundWriter, topic: RecordedTopic) -> None:
    writer.add_topic(
        topic.name, topic.definition.msgtype, definition=topic.definition, qos=topic.qos
    )
