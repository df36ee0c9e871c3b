# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The dataset: bags decoded once, kept as arrays that are mapped into memory.

A directory with one episode for each bag, named by the digest of the bag's data, and a manifest
that says what was taken from them and lists what there is. A bag seen before is not decoded again,
under whatever name it comes; an interrupted run goes on with the bags that are missing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from liquid_control.bags.bag_files import is_data_file
from liquid_control.bags.errors import BagError
from liquid_control.bags.refusals import Refusal, describe
from liquid_control.common.errors import LiquidControlError
from liquid_control.common.files import reason as reason_of
from liquid_control.common.files import write_atomically
from liquid_control.common.jobs import CancelledError, IsCancelled, open_pool
from liquid_control.common.plain_text import printable
from liquid_control.learn.data.episode import FACTS_FILE, Episode, open_episode
from liquid_control.learn.data.ingest import PARTIAL, bag_digest, ingest
from liquid_control.learn.data.signals import Signals, read_signals

MANIFEST_FILE = 'manifest.json'
# Raised when what is stored changes: older datasets are made anew.
VERSION = 5

_TITLE = 'bags'


class DatasetError(LiquidControlError):
    """A dataset is not what was asked for, or cannot be written."""


@dataclass(frozen=True)
class BagOutcome:
    """What became of one bag: its digest and what it lacks, or the reason why it is not in."""

    bag: Path
    digest: str = ''
    reason: str = ''
    problems: tuple[str, ...] = ()


def is_dataset(path: Path) -> bool:
    """Whether this is a dataset, and not a bag."""
    return (path / MANIFEST_FILE).is_file()


def dataset_signals(path: Path) -> Signals:
    """What was taken from the bags of a dataset.

    Raises:
        DatasetError: it was made by another version of this program.
    """
    manifest = json.loads((path / MANIFEST_FILE).read_text())
    if manifest.get('version') != VERSION:
        raise DatasetError(
            f'{path} is a dataset of version {manifest.get("version")}, expected {VERSION}: '
            'remove it and make it again with `liquid-control dataset`'
        )
    return read_signals(manifest['signals'], where=str(path), error=DatasetError)


def open_dataset(path: Path, signals: Signals | None = None) -> list[Episode]:
    """All episodes of a dataset, ordered by their digests.

    Args:
        signals: what is wanted, where the limits of age are others than the dataset's own.
    """
    signals = signals or dataset_signals(path)
    return [open_episode(folder, signals) for folder in _folders(path)]


def describe_dataset(path: Path) -> str:
    """How many episodes, how long there is something to learn, who drove, what is left out."""
    episodes = open_dataset(path)
    total = Counter[str]()
    for episode in episodes:
        total.update(episode.drivers())
    parts = ', '.join(f'{kind} {duration:.1f} s' for kind, duration in sorted(total.items()))
    line = f'{path}: {len(episodes)} episodes, {total.total():.1f} s ({parts or "empty"})'
    return '\n'.join([line, *(line for episode in episodes for line in left_out_lines(episode))])


def left_out_lines(episode: Episode) -> list[str]:
    """What of an episode is not learnt from, and why; nothing where all of it is."""
    name = episode.name
    seconds = ', '.join(f'{why}: {time:.1f} s' for why, time in episode.left_out().items())
    refused = [describe(Refusal.read(entry), entry['of']) for entry in episode.refused]
    lines = [f'left out: {seconds}'] if seconds else []
    return [f'{name}: {line}' for line in (*lines, *refused, *episode.jumps)]


def add_bags(
    bags: Sequence[Path],
    signals: Signals,
    path: Path,
    console: Console,
    *,
    jobs: int = 1,
    ray: str | None = None,
) -> list[BagOutcome]:
    """Take the signals of all bags into a dataset, those that it has not.

    Args:
        jobs: processes.
        ray: address of a Ray cluster to do the work, whose nodes see bags and dataset under the
            same paths; None: this machine does it.

    Returns:
        An outcome for each bag, in their order; a bag that cannot be learnt from stops no other.

    Raises:
        DatasetError: the dataset holds other signals, or cannot be written.
    """
    with _locked(path, console):
        _begin(path, signals)
        work = partial(take_in, signals, path.absolute())
        bags = [bag.absolute() if ray else bag for bag in bags]
        try:
            if not ray and min(jobs, len(bags)) < 2:
                shown = track(bags, _TITLE, console=console, transient=True)
                return _told([work(bag) for bag in shown], console)
            with open_pool(jobs, ray) as pool:
                return _told(pool.run(work, bags, title=_TITLE, console=console), console)
        finally:
            _write_manifest(path, dataset_signals(path))


def take_in(
    signals: Signals, path: Path, bag: Path, is_cancelled: IsCancelled = lambda: False
) -> BagOutcome:
    """One bag's part of the work, the same in this process, in others and on other machines."""

    def go_on() -> None:
        if is_cancelled():
            raise CancelledError

    try:
        digest = bag_digest(bag)
        folder = path / digest[:24]
        if not folder.exists():
            ingest(bag, digest, signals, folder, go_on)
        facts = json.loads((folder / FACTS_FILE).read_text())
    except LiquidControlError as error:
        reason = ' '.join(str(error).split())
        return BagOutcome(bag, reason=reason if bag.name in reason else f'{bag}: {reason}')
    except OSError as error:
        raise DatasetError(f'{bag} could not be taken into {path}: {reason_of(error)}') from error
    return BagOutcome(bag, digest, problems=tuple(facts.get('problems', ())))


def _told(outcomes: list[BagOutcome], console: Console) -> list[BagOutcome]:
    """Say what of the bags was not read because their files are damaged."""
    for outcome in outcomes:
        for problem in outcome.problems:
            words = printable(f'{outcome.bag.name}: {problem}')
            console.print(words, markup=False, highlight=False)
    return outcomes


def build(
    sources: Sequence[Path], signals: Signals, store: Path, console: Console, *, jobs: int = 1
) -> list[Episode]:
    """Open datasets, and bags by way of the dataset that `store` keeps for these signals.

    Raises:
        BagError: bags cannot be learnt from; the others are kept.
        DatasetError: a dataset holds other signals.
    """
    found: dict[str, Episode] = {}
    for path in filter(is_dataset, sources):
        _check_signals(path, signals)
        found |= {episode.digest: episode for episode in open_dataset(path, signals)}
    bags = [path for path in sources if not is_dataset(path)]
    if bags:
        how = json.dumps([VERSION, signals.taken()])
        path = store / hashlib.sha256(how.encode()).hexdigest()[:12]
        outcomes = add_bags(bags, signals, path, console, jobs=jobs)
        failures = [outcome.reason for outcome in outcomes if outcome.reason]
        if failures:
            raise BagError('; '.join(failures))
        for outcome in outcomes:
            if outcome.digest not in found:
                found[outcome.digest] = open_episode(path / outcome.digest[:24], signals)
    return list(found.values())


@contextmanager
def _locked(path: Path, console: Console) -> Iterator[None]:
    """Only one process at a time adds to a dataset; the lock ends with the process."""
    if path.is_dir() and any(map(is_data_file, path.iterdir())):
        raise DatasetError(
            f'{path} holds a recording, into which nothing is written: name another directory'
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        with (path / '.lock').open('w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                console.print(f'{path}: another process adds to it, waiting', soft_wrap=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise DatasetError(f'{path} cannot be written: {error.strerror or error}') from error


def _begin(path: Path, signals: Signals) -> None:
    for left_behind in path.glob(f'*{PARTIAL}'):
        shutil.rmtree(left_behind, ignore_errors=True)
    if is_dataset(path):
        _check_signals(path, signals)
    else:
        _write_manifest(path, signals)


def _check_signals(path: Path, signals: Signals) -> None:
    held, wanted = dataset_signals(path).taken(), signals.taken()
    other = [name for name, value in wanted.items() if held[name] != value]
    if other:
        raise DatasetError(
            f'{path} was made for other signals: {other[0]} is {held[other[0]]}, wanted '
            f'{wanted[other[0]]}; make another dataset, or use the recipe of this one'
        )


def _folders(path: Path) -> list[Path]:
    """Whole episodes, ordered by digest."""
    return sorted(
        facts.parent for facts in path.glob(f'*/{FACTS_FILE}') if facts.parent.suffix != PARTIAL
    )


def _write_manifest(path: Path, signals: Signals) -> None:
    manifest: dict[str, Any] = {
        'version': VERSION,
        'signals': signals.plain(),
        'episodes': {
            folder.name: json.loads((folder / FACTS_FILE).read_text()) for folder in _folders(path)
        },
    }
    write_atomically(path / MANIFEST_FILE, json.dumps(manifest, indent=2))
