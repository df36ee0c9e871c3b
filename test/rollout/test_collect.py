# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Expert recordings: what a robot records, resumable, never of a held-out track."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from liquid_control.bags import samples, writer
from liquid_control.bags.reader import BagReader
from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import CancelledError
from liquid_control.rollout import messages
from liquid_control.rollout.collect import PlannedDrive, collect, record
from liquid_control.sim.car import MAX_STEERING_ANGLE, WHEELBASE
from liquid_control.sim.car import command as car_command
from liquid_control.sim.robots import simulate_car
from liquid_control.sim.simulator import EVALUATION_SEEDS, HELD_OUT_SEEDS

SECONDS = 1.0


@pytest.fixture(scope='module')
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(PlannedDrive(4, SECONDS), tmp_path_factory.mktemp('bags'))


def test_a_recording_has_the_topics_and_rates_of_a_robot(bag: Path) -> None:
    with BagReader(bag) as reader:
        count = {topic: 0 for topic in reader.topics}
        for message in reader.messages():
            count[message.topic] += 1
    assert count == {
        messages.IMAGE_TOPIC: 30,
        messages.IMU_TOPIC: 200,
        messages.ODOMETRY_TOPIC: 50,
        messages.COMMAND_TOPIC: 50,
    }


def test_recorded_twists_give_back_the_expert_s_steering_angle(bag: Path) -> None:
    with BagReader(bag) as reader:
        commands = np.array(
            [
                samples.command(message, messages.COMMAND_NAMES, WHEELBASE)
                for message in reader.messages([messages.COMMAND_TOPIC])
            ]
        )
    assert np.isfinite(commands).all()
    assert np.abs(commands[:, 0]).max() <= MAX_STEERING_ANGLE + 1e-9
    assert np.ptp(commands[:, 0]) > 0.05  # it starts off the centre line and steers back
    assert (commands[:, 1] > 0.9).all()


def test_a_flight_is_recorded_with_the_topics_of_a_flight_controller(tmp_path: Path) -> None:
    with BagReader(record(PlannedDrive(4, SECONDS, robot='quadrotor'), tmp_path)) as reader:
        twists = [m.value.twist for m in reader.messages([messages.COMMAND_TOPIC])]
        poses = [m.value.pose.pose for m in reader.messages([messages.ODOMETRY_TOPIC])]
        images = list(reader.messages([messages.IMAGE_TOPIC]))
    assert (len(twists), len(poses), len(images)) == (50, 50, 20)
    assert max(abs(twist.linear.z) for twist in twists) > 0.05
    assert max(abs(twist.linear.y) for twist in twists) > 0.01
    assert all(pose.position.z > 0.5 for pose in poses)


def test_recorded_images_are_those_of_the_simulator(tmp_path: Path) -> None:
    drive = PlannedDrive(4, SECONDS, disturb=False)
    with BagReader(record(drive, tmp_path)) as reader:
        message = next(iter(reader.messages([messages.IMAGE_TOPIC])))
        image = samples.image(reader, message)
        command = next(iter(reader.messages([messages.COMMAND_TOPIC])))
        angle, speed = samples.command(command, messages.COMMAND_NAMES, WHEELBASE)
    with simulate_car(4) as simulator:
        seen = simulator.step(car_command(angle, speed), 40_000_000)
    rgb = next(frame.value for frame in seen if frame.sensor == 'image')
    assert np.abs(image.astype(int) - rgb).mean() < 4  # JPEG of a noisy image


def test_collecting_again_records_only_what_is_missing(tmp_path: Path) -> None:
    first = collect([1, 2], tmp_path, seconds=0.2)
    stamps = [path.joinpath('metadata.yaml').stat().st_mtime_ns for path in first]
    (first[1] / 'metadata.yaml').unlink()  # as if the process had been killed

    again = collect([1, 2, 3], tmp_path, seconds=0.2)

    assert [path.name for path in again] == ['seed_0001', 'seed_0002', 'seed_0003']
    assert first[0].joinpath('metadata.yaml').stat().st_mtime_ns == stamps[0]
    for path in again:
        with BagReader(path) as reader:
            assert len(list(reader.messages([messages.IMU_TOPIC]))) == 40


def test_a_recording_of_other_settings_is_not_mistaken_for_this_one(
    bag: Path, tmp_path: Path
) -> None:
    shutil.copytree(bag, tmp_path / bag.name)
    with pytest.raises(ConfigError, match=r'recorded with .*1\.0.* wanted .*9\.0'):
        collect([4], tmp_path, seconds=9.0)


def test_a_cancelled_drive_leaves_no_bag(tmp_path: Path) -> None:
    path = tmp_path / 'seed_0004'
    answers = iter([False, False, True])

    def is_cancelled() -> bool:
        assert any(path.glob('*.mcap'))  # it was being written
        return next(answers)

    with pytest.raises(CancelledError):
        record(PlannedDrive(4, SECONDS), tmp_path, is_cancelled=is_cancelled)
    assert not path.exists()


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from liquid_control.rollout.collect import collect

def interrupt_after_the_first_bag(out_dir):
    while not any(out_dir.glob('*/metadata.yaml')):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

if __name__ == '__main__':
    out_dir = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt_after_the_first_bag, args=(out_dir,), daemon=True).start()
    try:
        collect(range(50), out_dir, seconds=1.0)
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_ctrl_c_ends_soon_and_leaves_only_finished_bags(tmp_path: Path) -> None:
    script, out_dir = tmp_path / 'collect.py', tmp_path / 'bags'
    script.write_text(INTERRUPTED)
    done = subprocess.run([sys.executable, script, out_dir], capture_output=True, timeout=200)
    assert done.returncode == 130, done.stderr
    bags = list(out_dir.iterdir())
    assert 1 <= len(bags) <= 4
    assert all((bag / 'metadata.yaml').exists() for bag in bags)


@pytest.mark.parametrize('seed', [*HELD_OUT_SEEDS, EVALUATION_SEEDS.start])
def test_held_out_tracks_are_refused(seed: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='held out'):
        collect([1, seed], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_hard_world_is_recorded_as_such_and_what_is_held_out_never(tmp_path: Path) -> None:
    assert 'difficulty' not in PlannedDrive(4, SECONDS).custom_data  # as in bags of old
    (path,) = collect([4], tmp_path, seconds=0.2, difficulty={'night': 1.0})
    with BagReader(path) as reader:
        message = next(iter(reader.messages([messages.IMAGE_TOPIC])))
        assert samples.image(reader, message).mean() < 60
    with pytest.raises(ConfigError, match='elsewhere is held out'):
        PlannedDrive(4, difficulty={'elsewhere': 0.1})
    with pytest.raises(ConfigError, match='must be one of'):
        PlannedDrive(4, robot='rover', difficulty={'night': 0.1})


def test_the_same_seed_records_the_same_bytes_however_slowly(
    bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held out of training follows from the digests of recordings."""
    hours = itertools.count(step=3600.0)
    monkeypatch.setattr(writer, 'time', SimpleNamespace(monotonic=lambda: next(hours)))
    slow = record(PlannedDrive(4, SECONDS), tmp_path)
    files, others = ({f.name: f.read_bytes() for f in b.glob('*.mcap')} for b in (bag, slow))
    assert files == others
    assert len(files) == 1
