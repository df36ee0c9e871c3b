"""Makes a killed recording a finished bag again, and proves it by reading it back."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from liquid_control.bags.errors import BagError
from liquid_control.bags.metadata import FILE_NAME, BagSummary
from liquid_control.bags.reader import BagReader
from liquid_control.bags.recovery import Recovered, is_finished, scan, write_ending


@dataclass(frozen=True)
class RepairReport:
    """What a repair found and did.

    Attributes:
        message_counts: Messages by topic, as read back from the repaired bag.
        repaired_files: Names of the files that lacked their ending or held damaged chunks.
        lost_bytes: Size of torn or damaged chunks that could not be saved.
        empty_files: Files without a whole message, set aside with the suffix `.empty`.
    """

    path: Path
    message_counts: dict[str, int]
    repaired_files: list[str]
    lost_bytes: int
    empty_files: list[str]


def repair(path: Path | str) -> RepairReport:
    """Restore index and metadata.yaml of a rosbag2 MCAP bag, in place, and read it back.

    Every chunk's checksum is verified and every message decoded. A bag that is whole stays as it
    is.

    Args:
        path: Directory of the bag.

    Raises:
        BagError: Nothing can be saved, or the bag does not read back as it was written.
    """
    path = Path(path)
    files = sorted(path.glob('*.mcap'), key=lambda file: (len(file.name), file.name))
    if not files:
        raise BagError(f'{path} has no .mcap files: name the directory of a rosbag2 MCAP bag')
    recovered: list[Recovered] = []
    repaired: list[str] = []
    empty: list[str] = []
    for file in files:
        try:
            found = scan(file)
        except BagError:
            empty.append(file.name)
            continue
        recovered.append(found)
        if found.damaged_chunks or not is_finished(file):
            write_ending(found)
            repaired.append(file.name)
    if not recovered:
        raise BagError(f'{path} cannot be repaired: no file of it holds a whole message')
    for name in empty:
        (path / name).rename(path / f'{name}.empty')
    if repaired or empty or not (path / FILE_NAME).exists():
        _summary(recovered).write(path)
    lost_bytes = sum(file.lost_bytes for file in recovered)
    return RepairReport(path, _read_back(path, recovered), repaired, lost_bytes, empty)


def _summary(recovered: list[Recovered]) -> BagSummary:
    counts = _counts(recovered)
    topics = {topic.name: topic for file in recovered for topic in file.topics}
    return BagSummary(
        [replace(topic, message_count=counts[name]) for name, topic in topics.items()],
        [file.file for file in recovered],
    )


def _counts(recovered: list[Recovered]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for file in recovered:
        for topic in file.topics:
            counts[topic.name] += topic.message_count
    return counts


def _read_back(path: Path, recovered: list[Recovered]) -> dict[str, int]:
    """Decode every message of the repaired bag; return how many there are by topic."""
    counts: Counter[str] = Counter()
    with BagReader(path) as bag:
        for message in bag.messages():
            _ = message.value
            counts[message.topic] += 1
        topics = list(bag.topics)
    expected = _counts(recovered)
    wrong = {
        name: (expected[name], counts[name]) for name in topics if expected[name] != counts[name]
    }
    if wrong:
        raise BagError(f'{path} does not read back as written; (expected, found): {wrong}')
    return dict(counts)
