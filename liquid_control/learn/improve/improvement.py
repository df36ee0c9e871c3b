# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""What an improvement has come to so far: its rounds, on disk after each of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.common.files import write_atomically
from liquid_control.common.records import read_record

FILE = 'improve.json'


@dataclass(frozen=True)
class Evaluation:
    """How good a policy is.

    Attributes:
        score: smaller is better; compared from the left.
        metrics: what people want to know, name with unit -> value.
        details: what the metrics were made of, one entry for each track or recording.
    """

    score: tuple[float, ...]
    metrics: dict[str, float]
    details: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Round:
    """One policy: the one that was there at the start, or what a round made.

    Attributes:
        number: 0 for the start.
        policy: directory of the bundle.
        digest: of the bundle.
        kept: whether it was better than the best before it.
        evaluation: on what no round learns from.
        bags: what was recorded for it.
        collected: what happened in those recordings, name with unit -> value.
        seconds: wall time of each part of the round, s.
    """

    number: int
    policy: str
    digest: str
    kept: bool
    evaluation: Evaluation
    bags: tuple[str, ...] = ()
    collected: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Improvement:
    """All rounds so far.

    Attributes:
        name: of the policy that comes out.
        settings: everything that decides what the rounds make; rounds of others are refused.
    """

    name: str
    settings: dict[str, Any]
    rounds: tuple[Round, ...] = ()

    @property
    def best(self) -> Round:
        """The policy to go on from."""
        return [entry for entry in self.rounds if entry.kept][-1]

    def with_round(self, entry: Round) -> Improvement:
        """This improvement and one more round."""
        return replace(self, rounds=(*self.rounds, entry))

    @classmethod
    def resume(cls, name: str, settings: dict[str, Any], folder: Path) -> Improvement:
        """The improvement in a folder, or a new one where there is none.

        Raises:
            ConfigError: the one in the folder was made with other settings.
        """
        file = folder / FILE
        settings = json.loads(json.dumps(settings))
        if not file.exists():
            return cls(name, settings)
        found = read_record(cls, json.loads(file.read_text()), where=str(file), error=ConfigError)
        changed = [key for key in settings if found.settings.get(key) != settings[key]]
        if changed:
            raise ConfigError(
                f'{folder} holds rounds made with other settings ({", ".join(changed)}): give the '
                'same as before, choose another --out, or remove the folder'
            )
        return found

    def save(self, folder: Path) -> None:
        """Write improve.json; a kill leaves the old one or the new one."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, json.dumps(asdict(self), indent=2) + '\n')
