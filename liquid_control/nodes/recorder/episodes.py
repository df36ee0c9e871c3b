# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""All that exists while the recorder is active: session, subscriptions, episode and snapshots."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from rclpy.node import Node

from liquid_control.bags.background import BackgroundWriter, ReceivedMessage
from liquid_control.bags.errors import BagError
from liquid_control.bags.mcap_file import Compression
from liquid_control.nodes.common.clock import is_simulated
from liquid_control.nodes.recorder.config import RecorderConfig
from liquid_control.nodes.recorder.policy_follower import MODE_TYPE, PATIENCE, PolicyFollower
from liquid_control.nodes.recorder.session import RecordedEpisode, RecordingSession
from liquid_control.nodes.recorder.sim_times import SimTimes
from liquid_control.nodes.recorder.snapshots import Snapshots
from liquid_control.nodes.recorder.thread import FetchThread, locked
from liquid_control.nodes.recorder.topics import RecordedTopic, TopicWatcher

# Seconds. The middleware keeps what comes in between, and notes when it came.
_FETCH_PERIOD = 0.02


class Recording:
    """One session of recording.

    Args:
        on_change: Called when an episode has begun or ended.

    Attributes:
        episode: The one being recorded, None between episodes.

    Raises:
        BagError: The session's directory cannot be written.
    """

    def __init__(
        self,
        node: Node,
        config: RecorderConfig,
        session: RecordingSession,
        on_change: Callable[[], None],
    ) -> None:
        self.episode: RecordedEpisode | None = None
        self._disengaged = False  # the episode ends once the last command has come
        self._received: Counter[str] = Counter()
        self._problem = ''
        self._waiting = ''
        self._began_at = time.monotonic()
        self._node = node
        self._config = config
        self._session = session
        self._on_change = on_change
        self._snapshots = Snapshots(config, self._open_bag, self._put_latched)
        self._mode_topic = node.resolve_topic_name(config.mode_topic)
        self._follower = PolicyFollower(node, self._mode_topic, self._engaged)
        self._watcher = TopicWatcher(node, config, on_topic=self._add_topic)
        self._times = SimTimes(node, self._watcher.group) if is_simulated(node) else None
        self._lock = threading.RLock()  # of the thread that fetches messages and the executor's
        self._fetching = FetchThread(node, self._fetch, _FETCH_PERIOD, self._lock)

    @property
    def topics(self) -> Mapping[str, RecordedTopic]:
        """Topics subscribed, by name."""
        return self._watcher.topics

    @property
    def problem(self) -> str:
        """Why recording stopped or cannot start; empty when all is well."""
        return self._problem or self._waiting

    @property
    def finishing(self) -> bool:
        """Whether an episode is open that a policy node is about to end."""
        driving = self.episode is not None and self._follower.driving
        return driving and self._follower.present

    def received(self) -> Counter[str]:
        """Return how many messages have come, by topic, recorded or not."""
        with self._lock:
            return self._received.copy()

    @locked
    def poll(self) -> None:
        """Look for new topics."""
        self._watcher.poll()

    @locked
    def catch_up(self) -> None:
        """Take the messages that have come by now, so that they count as before what follows."""
        self._fetch()

    @locked
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
        self._problem = ''
        policies = [self._follower.policy] if self._follower.policy else []
        self.episode = RecordedEpisode(
            writer, started_by, time.monotonic(), self._follower.takeovers, policies
        )
        self._start_clock(self._now_ns())
        self._node.get_logger().info(f'{writer.path.name} begins: {started_by}')
        self._on_change()
        return str(writer.path)

    @locked
    def end(self, ended_by: str) -> str:
        """Finish the episode; return what became of it, in words.

        Raises:
            BagError: None is being recorded, or it could not be written to its end.
        """
        episode = self._take_episode()
        writer = episode.writer
        writer.close()
        self._note_policy(episode)
        entry = episode.summary(ended_by, self._follower.takeovers)
        text = f'{writer.path} ends: {ended_by}; {entry["messages"]} messages'
        self._node.get_logger().info(text)
        if writer.dropped.total():
            self._node.get_logger().warning(
                f'{writer.path.name} lacks messages that the disk was too slow for: '
                f'{dict(+writer.dropped)}'
            )
        self._session.description['policy_parameters'] = self._follower.parameters
        self._session.add_episode(entry)
        if writer.error is not None:
            self._report(str(writer.error))
        self._on_change()
        if writer.error is not None:
            raise writer.error
        return text

    @locked
    def discard(self) -> str:
        """Delete the episode being recorded; return what was done, in words."""
        writer = self._take_episode().writer
        writer.discard()
        text = f'{writer.path} discarded'
        self._node.get_logger().info(text)
        self._on_change()
        return text

    @locked
    def snapshot(self) -> str:
        """Begin to write what led up to now; return where, in words.

        Raises:
            BagError: Nothing is kept or nothing can be written.
        """
        return self._snapshots.write()

    @locked
    def check(self) -> None:
        """See to changed publishers, finished snapshots, a disk that is nearly full or fails."""
        self._watcher.poll(thorough=True)
        for failure in self._snapshots.failures():
            self._report(failure)
        waiting = self._watch_policy() or self._watch_clock()
        if waiting and waiting != self._waiting:
            self._node.get_logger().warning(waiting)
        self._waiting = waiting
        if self.episode is None:
            return
        self._note_policy(self.episode)
        if self._fetching.defect:
            self._end_quietly('defect')
            self._report(self._fetching.defect.splitlines()[-1])
            return
        full = self._session.disk_problem(self._config.min_free_bytes)
        if self.episode.writer.error is not None:
            self._end_quietly('write error')
        elif full:
            self._end_quietly('disk nearly full' if self._session.free_bytes() else 'write error')
            self._report(full)

    def close(self) -> None:
        """Take what has come, end the episode, wait for snapshots, unsubscribe."""
        self._fetching.close()
        if not self._fetching.defect:
            self._fetch()
        self._watcher.close()
        if self._times is not None:
            self._times.close()
        self._follower.close()
        if self.episode is not None:
            self._end_quietly('disengaged' if self._disengaged else 'deactivation')
        self._snapshots.close()

    def _fetch(self) -> None:
        """Keep what has come. Mode messages cut a batch: they may begin or end an episode."""
        arrivals, times = self._watcher.take(), self._times
        if times is not None:
            times.take()  # after the messages: what came with a time has come before it
        now_ns = self._now_ns()
        self._start_clock(now_ns)
        batch: list[ReceivedMessage] = []
        for arrival in arrivals:
            topic = arrival.topic
            self._received[topic.name] += 1
            if now_ns:  # else simulated time has not begun
                if times is not None:
                    log_ns = publish_ns = times.at(arrival.received_ns) or now_ns
                else:
                    log_ns = arrival.received_ns or now_ns
                    publish_ns = arrival.published_ns or now_ns
                batch.append(ReceivedMessage(topic.name, arrival.data, log_ns, publish_ns))
            if topic.transient_local:
                topic.latched.append(arrival.data)
            if topic.name == self._mode_topic and topic.definition.msgtype == MODE_TYPE:
                self._keep(batch)
                batch = []
                self._follower.receive(arrival.data)
        self._keep(batch)
        if self._disengaged and not self._follower.driving:
            self._end_quietly('disengaged')

    def _keep(self, batch: list[ReceivedMessage]) -> None:
        if not batch:
            return
        self._snapshots.keep(batch)
        if self.episode is not None:
            self.episode.writer.put(batch)

    def _add_topic(self, topic: RecordedTopic) -> None:
        if self.episode is not None:
            _add(self.episode.writer, topic)

    def _open_bag(self, kind: str) -> BackgroundWriter:
        full = self._session.disk_problem(self._config.min_free_bytes)
        if full:
            raise BagError(full)
        bag = self._session.new_bag(
            kind,
            compression=cast(Compression, self._config.compression),
            split_bytes=self._config.split_bytes,
            split_ns=self._config.split_ns,
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
                writer.put([ReceivedMessage(topic.name, data, log_ns, log_ns)])

    def _engaged(self, engaged: bool) -> None:
        if self._config.start_on != 'engage':
            return
        if engaged and self._disengaged:
            self._end_quietly('disengaged')
        if engaged and self.episode is None:
            with suppress(BagError):  # reported by begin; engaging again is another try
                self.begin('engaged')
        elif not engaged and self.episode is not None:
            self._disengaged = True  # the last command is to come

    def _watch_clock(self) -> str:
        """Under simulated time nothing is recorded before it has begun; say so."""
        waits = is_simulated(self._node) and not self._now_ns()
        if not waits or time.monotonic() - self._began_at < PATIENCE:
            return ''
        return 'waiting for /clock: use_sim_time is set, and no time has come'

    def _watch_policy(self) -> str:
        """Where episodes follow the policy node, end with it; say where none begins without it."""
        if self._config.start_on != 'engage':
            return ''
        if not self._fetching.defect:
            self._fetch()  # what has come since, after a pause of this process, was no silence
        absence = self._follower.absence()
        if absence:
            self._follower.reset()
        if absence and self.episode is not None:
            self._end_quietly(f'policy node gone: {absence}')
            self._report(f'{absence}: the episode was ended')
            self._waiting = absence  # said
        return absence

    def _end_quietly(self, ended_by: str) -> None:
        try:
            self.end(ended_by)
        except BagError as error:
            self._report(str(error))

    def _take_episode(self) -> RecordedEpisode:
        if self.episode is None:
            raise BagError('no episode is being recorded: start one first')
        episode, self.episode = self.episode, None
        self._disengaged = False
        return episode

    def _note_policy(self, episode: RecordedEpisode) -> None:
        policy = self._follower.policy
        if policy and policy not in episode.policies:
            episode.policies.append(policy)

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._node.get_logger().error(problem)

    def _now_ns(self) -> int:
        return int(self._node.get_clock().now().nanoseconds)


def _add(writer: BackgroundWriter, topic: RecordedTopic) -> None:
    writer.add_topic(
        topic.name, topic.definition.msgtype, definition=topic.definition, qos=topic.qos
    )
