# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Finds the topics to record and subscribes to them as their publishers offer them.

Messages are fetched in batches instead of waking the executor for each: the middleware notes when
each arrived, so nothing is lost by coming later, and a 400 Hz IMU costs 2 % of a core in place of
18 % (benchmarks/record.py).
"""

from __future__ import annotations

import importlib
import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from rclpy.node import Node
from rclpy.qos import (
    QoSDurabilityPolicy,
    QoSHistoryPolicy,
    QoSProfile,
    QoSReliabilityPolicy,
)
from rclpy.subscription import Subscription
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)

from liquid_control.bags.definitions import Definition, definition
from liquid_control.bags.errors import DefinitionError
from liquid_control.common.stamps import split_ns
from liquid_control.nodes.recorder.config import RecorderConfig
from liquid_control.nodes.recorder.thread import Fetched, fetched, never_called

# Messages that may wait in the middleware while this process is not scheduled: one second of a
# 1 kHz IMU, and of messages so large that a thousand would not fit into memory, two of a camera.
_DEPTH = 1000
_LARGE_DEPTH = 60
_LARGE_TYPES = {'sensor_msgs/msg/Image', 'sensor_msgs/msg/PointCloud2'}


@dataclass
class RecordedTopic:
    """A topic that is subscribed.

    Attributes:
        latched: Newest messages of a topic whose publishers keep them for late joiners (such as
            /tf_static); a recording that begins late needs them too. Empty for other topics.
    """

    name: str
    definition: Definition
    qos: tuple[Qos, ...]
    reliable: bool
    transient_local: bool
    publishers: int
    latched: deque[bytes] = field(default_factory=lambda: deque(maxlen=0))
    subscription: Subscription | None = None


class Arrival(NamedTuple):
    """A message as it came; times in nanoseconds of the system clock, 0 where not known."""

    received_ns: int
    published_ns: int
    topic: RecordedTopic
    data: bytes


class TopicWatcher:
    """Keeps subscriptions in step with the topics that come and go.

    Args:
        on_topic: Called with each topic that is new.
    """

    def __init__(
        self,
        node: Node,
        config: RecorderConfig,
        *,
        on_topic: Callable[[RecordedTopic], None],
    ) -> None:
        self.topics: dict[str, RecordedTopic] = {}
        self._node = node
        self._config = config
        self._on_topic = on_topic
        self._names = {node.resolve_topic_name(name) for name in config.topics}
        self._names.add(node.resolve_topic_name(config.mode_topic))
        self._namespace = node.get_namespace().rstrip('/')
        self._used_here: set[str] = set()
        self._refused: set[tuple[str, str]] = set()
        self.group = Fetched()

    def poll(self, *, thorough: bool = False) -> None:
        """Look at the graph: subscribe to what is new, adapt to publishers that have changed.

        Args:
            thorough: Look also at topics with as many publishers as before; one may have been
                replaced by another that offers less. Costs ten times as much.
        """
        if thorough and self._namespace:
            self._used_here = self._used_in_namespace()
        for name, msgtypes in self._node.get_topic_names_and_types():
            if not self._wants(name):
                continue
            known = self.topics.get(name)
            publishers = self._node.count_publishers(name)
            if publishers == (known.publishers if known else 0) and not (known and thorough):
                continue
            if known is not None:
                known.publishers = publishers
            if publishers == 0:
                continue  # vanished; the subscription stays for when it comes back
            endpoints = self._node.get_publishers_info_by_topic(name)
            types = sorted({endpoint.topic_type for endpoint in endpoints} or msgtypes)
            expected = known.definition.msgtype if known else types[0]
            if types != [expected]:
                self._refuse(name, f'its type is {" and ".join(types)}, recorded is {expected}')
            elif known is None:
                self._add(name, expected, endpoints)
            else:
                self._adapt(known, endpoints)

    def take(self) -> list[Arrival]:
        """Fetch the messages that have come since the last call, in the order they came."""
        arrivals: list[Arrival] = []
        for topic in self.topics.values():
            subscription = topic.subscription
            if subscription is None:
                continue
            # No more than could wait: other topics have their turn.
            for data, info in fetched(subscription, _DEPTH):
                times = info['received_timestamp'], info['source_timestamp']
                arrivals.append(Arrival(*times, topic, data))
        arrivals.sort(key=_received_ns)
        return arrivals

    def close(self) -> None:
        """Unsubscribe from everything."""
        for topic in self.topics.values():
            if topic.subscription is not None:
                self._node.destroy_subscription(topic.subscription)
        self.topics.clear()

    def _wants(self, name: str) -> bool:
        if name in self._names:
            return True
        config = self._config
        if config.exclude and re.fullmatch(config.exclude, name):
            return False
        if config.regex and re.fullmatch(config.regex, name):
            return True
        return config.all_topics and '/_' not in name and self._concerns_us(name)

    def _concerns_us(self, name: str) -> bool:
        """Several robots may share the graph, each in its namespace: who is in none sees all."""
        return (
            name.startswith(f'{self._namespace}/')
            or name.count('/') == 1  # shared by all, such as /tf and /clock
            or name in self._used_here
        )

    def _used_in_namespace(self) -> set[str]:
        """Topics of whatever name that the namespace's nodes publish or subscribe."""
        node, used = self._node, set[str]()
        for name, namespace in node.get_node_names_and_namespaces():
            ours = f'{namespace}/'.startswith(f'{self._namespace}/')
            if not ours or (name, namespace) == (node.get_name(), node.get_namespace()):
                continue
            with suppress(RuntimeError):  # it has gone meanwhile
                for topic, _ in (
                    *node.get_publisher_names_and_types_by_node(name, namespace),
                    *node.get_subscriber_names_and_types_by_node(name, namespace),
                ):
                    used.add(topic)
        return used

    def _add(self, name: str, msgtype: str, endpoints: list[TopicEndpointInfo]) -> None:
        try:
            topic = RecordedTopic(
                name,
                definition(msgtype),
                tuple(_bag_qos(endpoint.qos_profile) for endpoint in endpoints),
                reliable=_all_reliable(endpoints),
                transient_local=_all_transient_local(endpoints),
                publishers=len(endpoints),
            )
            self._subscribe(topic, endpoints)
        except (DefinitionError, ImportError, AttributeError) as error:
            self._refuse(name, f'its type {msgtype} is not installed here ({error})')
            return
        self.topics[name] = topic
        self._node.get_logger().info(f'recording {name} ({msgtype})')
        self._on_topic(topic)

    def _adapt(self, topic: RecordedTopic, endpoints: list[TopicEndpointInfo]) -> None:
        """Subscribe anew where a publisher offers less than the subscription asks for."""
        reliable, transient_local = _all_reliable(endpoints), _all_transient_local(endpoints)
        if (topic.reliable and not reliable) or (topic.transient_local and not transient_local):
            topic.reliable, topic.transient_local = reliable, transient_local
            if topic.subscription is not None:
                self._node.destroy_subscription(topic.subscription)
            self._subscribe(topic, endpoints)

    def _subscribe(self, topic: RecordedTopic, endpoints: list[TopicEndpointInfo]) -> None:
        package, _, name = topic.definition.msgtype.split('/')
        message_class = getattr(importlib.import_module(f'{package}.msg'), name)
        if topic.transient_local:
            kept = sum(max(1, endpoint.qos_profile.depth) for endpoint in endpoints)
            topic.latched = deque(topic.latched, maxlen=kept)

        topic.subscription = self._node.create_subscription(
            message_class,
            topic.name,
            never_called,
            QoSProfile(
                history=QoSHistoryPolicy.KEEP_LAST,
                depth=_LARGE_DEPTH if topic.definition.msgtype in _LARGE_TYPES else _DEPTH,
                reliability=QoSReliabilityPolicy.RELIABLE
                if topic.reliable
                else QoSReliabilityPolicy.BEST_EFFORT,
                durability=QoSDurabilityPolicy.TRANSIENT_LOCAL
                if topic.transient_local
                else QoSDurabilityPolicy.VOLATILE,
            ),
            callback_group=self.group,
            raw=True,
        )

    def _refuse(self, name: str, reason: str) -> None:
        if (name, reason) not in self._refused:
            self._refused.add((name, reason))
            self._node.get_logger().warning(f'{name} is not recorded: {reason}')


def _received_ns(arrival: Arrival) -> int:
    return arrival.received_ns


def _all_reliable(endpoints: list[TopicEndpointInfo]) -> bool:
    return all(e.qos_profile.reliability == QoSReliabilityPolicy.RELIABLE for e in endpoints)


def _all_transient_local(endpoints: list[TopicEndpointInfo]) -> bool:
    return all(e.qos_profile.durability == QoSDurabilityPolicy.TRANSIENT_LOCAL for e in endpoints)


def _bag_qos(profile: QoSProfile) -> Qos:
    """Return a publisher's QoS as bags carry it; both sides number the policies alike."""
    return Qos(
        history=QosHistory(profile.history.value),
        depth=profile.depth,
        reliability=QosReliability(profile.reliability.value),
        durability=QosDurability(profile.durability.value),
        deadline=QosTime(*split_ns(profile.deadline.nanoseconds)),
        lifespan=QosTime(*split_ns(profile.lifespan.nanoseconds)),
        liveliness=QosLiveliness(profile.liveliness.value),
        liveliness_lease_duration=QosTime(
            *split_ns(profile.liveliness_lease_duration.nanoseconds)
        ),
        avoid_ros_namespace_conventions=profile.avoid_ros_namespace_conventions,
    )
