# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""metadata.yaml, the file that makes a directory a rosbag2 bag (layout version 9, ROS 2 Jazzy)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rosbags.interfaces import (
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2.metadata import parse_qos

from liquid_control.common.files import write_atomically

FILE_NAME = 'metadata.yaml'
_VERSION = 9
_MAX_QOS = 1 << 16

# What ROS writes for a deadline, lifespan or lease that was never set.
FOREVER = QosTime(9223372036, 854775807)


@dataclass(frozen=True)
class TopicSummary:
    """One topic of a bag: its type, the publishers' QoS and how many messages there are."""

    name: str
    msgtype: str
    type_hash: str
    qos: tuple[Qos, ...] = ()
    message_count: int = 0


@dataclass(frozen=True)
class FileSummary:
    """One file of a bag: its name and what it holds; times are log times in nanoseconds."""

    name: str
    start_ns: int
    end_ns: int
    message_count: int


@dataclass(frozen=True)
class BagSummary:
    """All that metadata.yaml says about a bag."""

    topics: Sequence[TopicSummary]
    files: Sequence[FileSummary]
    custom_data: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of metadata.yaml, without its one top-level key."""
        filled = [file for file in self.files if file.message_count]
        start_ns = min((file.start_ns for file in filled), default=0)
        end_ns = max((file.end_ns for file in filled), default=0)
        return {
            'version': _VERSION,
            'storage_identifier': 'mcap',
            'duration': {'nanoseconds': end_ns - start_ns},
            'starting_time': {'nanoseconds_since_epoch': start_ns},
            'message_count': sum(file.message_count for file in self.files),
            'topics_with_message_count': [
                {
                    'topic_metadata': {
                        'name': topic.name,
                        'type': topic.msgtype,
                        'serialization_format': 'cdr',
                        'offered_qos_profiles': [_qos_dict(qos) for qos in topic.qos],
                        'type_description_hash': topic.type_hash,
                    },
                    'message_count': topic.message_count,
                }
                for topic in self.topics
            ],
            # Chunks are compressed inside the MCAP files; these two mean rosbag2's own layer.
            'compression_format': '',
            'compression_mode': '',
            'relative_file_paths': [file.name for file in self.files],
            'files': [
                {
                    'path': file.name,
                    'starting_time': {'nanoseconds_since_epoch': file.start_ns},
                    'duration': {'nanoseconds': file.end_ns - file.start_ns},
                    'message_count': file.message_count,
                }
                for file in self.files
            ],
            'custom_data': dict(self.custom_data) or None,
            'ros_distro': os.environ.get('ROS_DISTRO', 'unknown'),
        }

    def write(self, directory: Path) -> None:
        """Write metadata.yaml into a bag's directory, all of it or nothing."""
        text = dump_yaml({'rosbag2_bagfile_information': self.to_dict()})
        write_atomically(directory / FILE_NAME, text)


def qos_profile(
    *,
    depth: int = 10,
    reliable: bool = True,
    transient_local: bool = False,
    keep_all: bool = False,
) -> Qos:
    """Return a publisher's QoS as bags carry it, with the fields that matter for playing back."""
    return Qos(
        history=QosHistory.KEEP_ALL if keep_all else QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE if reliable else QosReliability.BEST_EFFORT,
        durability=QosDurability.TRANSIENT_LOCAL if transient_local else QosDurability.VOLATILE,
        deadline=FOREVER,
        lifespan=FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def dump_qos(profiles: Sequence[Qos]) -> str:
    """Return QoS profiles in the YAML form that MCAP channels carry."""
    return dump_yaml([_qos_dict(qos) for qos in profiles]) if profiles else ''


def read_qos(profiles: str) -> list[Qos]:
    """Return QoS profiles from the YAML form; none where they cannot be read."""
    try:
        return parse_qos(profiles[:_MAX_QOS])
    except Exception:  # a hostile one can make rosbags raise anything; nothing depends on it
        return []


def dump_yaml(content: object) -> str:
    """Return YAML in block style with the keys in the order given."""
    return str(yaml.safe_dump(content, sort_keys=False, default_flow_style=False))


def _qos_dict(qos: Qos) -> dict[str, Any]:
    return {
        'history': qos.history.name.lower(),
        'depth': qos.depth,
        'reliability': qos.reliability.name.lower(),
        'durability': qos.durability.name.lower(),
        'deadline': qos.deadline._asdict(),
        'lifespan': qos.lifespan._asdict(),
        'liveliness': qos.liveliness.name.lower(),
        'liveliness_lease_duration': qos.liveliness_lease_duration._asdict(),
        'avoid_ros_namespace_conventions': qos.avoid_ros_namespace_conventions,
    }
