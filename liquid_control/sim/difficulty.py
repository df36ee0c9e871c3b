# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How hard a world is: a strength from 0 to 1 for each of the difficulties that it knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from liquid_control.common.errors import ConfigError


def check_strength(strength: Mapping[str, float], known: Mapping[str, str]) -> None:
    """Raise ConfigError for a difficulty that the world does not know, or beyond 0 to 1."""
    for name, value in strength.items():
        if name not in known:
            raise ConfigError(f'difficulty must be one of {", ".join(known)}, found {name!r}')
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f'difficulty {name} must be within 0..1, found {value:g}')


def read_strength(
    entries: Iterable[str],
    known: Mapping[str, str],
    presets: Mapping[str, Mapping[str, float]],
) -> dict[str, float]:
    """Strengths from words such as 'night=0.5'; a preset's are multiplied, later words win.

    Raises:
        ConfigError: an entry is none, or beyond 0 to 1.
    """
    found: dict[str, float] = {}
    for entry in entries:
        name, _, value = entry.partition('=')
        try:
            strength = float(value)
        except ValueError:
            raise ConfigError(
                f'difficulty must be entries like {next(iter(known))}=0.5, found {entry!r}'
            ) from None
        if name not in presets:
            found[name] = strength
            continue
        check_strength({name: strength}, {**known, name: ''})
        found |= {part: share * strength for part, share in presets[name].items()}
    check_strength(found, known)
    return found


def check_parts(redrawn: Mapping[str, int], known: Collection[str]) -> None:
    """Raise ConfigError for a part of a world that cannot be drawn from another seed."""
    for name in redrawn:
        if name not in known:
            raise ConfigError(f'redrawn must be one of {", ".join(known)}, found {name!r}')
