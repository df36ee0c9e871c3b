# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a user can set about recording."""

from __future__ import annotations

import re
from dataclasses import dataclass

from liquid_control.common.errors import ConfigError
from liquid_control.common.stamps import NS
from liquid_control.nodes.common.parameters import parameter

_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class RecorderConfig:
    """The recorder's parameters; sizes in MB are of 10^6 bytes."""

    output_directory: str = parameter(
        'bags/{stamp}',
        'Directory of the session, made if needed; {stamp} becomes the time of activation, and '
        'what no other session has.',
    )
    robot: str = parameter('', 'Name of the robot, noted in session.yaml.')
    note_host: bool = parameter(False, "Note the machine's name in session.yaml.")
    start_on: str = parameter(
        'activate',
        'What begins an episode: activation (and deactivation ends it), engaging the policy '
        '(and disengaging ends it), or only the service ~/start_episode.',
        choices=('activate', 'engage', 'request'),
    )
    mode_topic: str = parameter(
        'policy_node/mode', 'Topic of the policy node that says who drives; always recorded.'
    )
    all_topics: bool = parameter(
        True,
        'Record every topic, save hidden and excluded ones. In a namespace: its topics, those of '
        'no namespace (such as /tf), and those that its nodes publish or subscribe.',
    )
    topics: tuple[str, ...] = parameter((), 'Names of topics to record.')
    regex: str = parameter('', 'Topics to record: those whose whole name matches.')
    exclude: str = parameter('', 'Topics not to record: those whose whole name matches.')
    compression: str = parameter(
        'zstd', 'Of the chunks in the files.', choices=('zstd', 'lz4', 'none')
    )
    split_size: int = parameter(
        0, 'Begin a new file when one is larger than this, MB; 0 never.', range=(0, 1_000_000)
    )
    split_duration: float = parameter(
        0.0, 'Begin a new file when one is longer than this, s; 0 never.', range=(0.0, 86_400.0)
    )
    cache_size: int = parameter(
        256, 'Messages waiting for a slow disk, MB; more are dropped.', range=(1, 100_000)
    )
    min_free_disk: int = parameter(
        1000, 'An episode ends, and none begins, with less disk free, MB.', range=(0, 10_000_000)
    )
    snapshot_duration: float = parameter(
        0.0, 'How far back ~/snapshot reaches, s; 0 keeps nothing.', range=(0.0, 3600.0)
    )
    snapshot_size: int = parameter(
        512, 'Messages kept in memory for ~/snapshot, MB.', range=(1, 100_000)
    )
    discovery_period: float = parameter(
        0.1, 'How often to look for new topics, s (wall time).', range=(0.01, 10.0)
    )

    def __post_init__(self) -> None:
        for name in ('regex', 'exclude'):
            try:
                re.compile(getattr(self, name))
            except re.error as error:
                raise ConfigError(
                    f'parameter {name} must be a regular expression, '
                    f'found {getattr(self, name)!r}: {error}'
                ) from error
        if not (self.all_topics or self.topics or self.regex):
            raise ConfigError('nothing to record: set all_topics, topics or regex')

    @property
    def split_bytes(self) -> int | None:
        """Bytes; None for no limit."""
        return self.split_size * _MEGABYTE or None

    @property
    def split_ns(self) -> int | None:
        """Nanoseconds; None for no limit."""
        return round(self.split_duration * NS) or None

    @property
    def cache_bytes(self) -> int:
        """Bytes."""
        return self.cache_size * _MEGABYTE

    @property
    def min_free_bytes(self) -> int:
        """Bytes."""
        return self.min_free_disk * _MEGABYTE

    @property
    def snapshot_ns(self) -> int:
        """Nanoseconds."""
        return round(self.snapshot_duration * NS)

    @property
    def snapshot_bytes(self) -> int:
        """Bytes."""
        return self.snapshot_size * _MEGABYTE
