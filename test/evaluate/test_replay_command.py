# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""`liquid-control replay` as a user meets it: files written, exit status, mistakes in one line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from support import recordings as rec
from support.bundles import make_bundle
from typer.testing import CliRunner, Result

from liquid_control.bags.writer import BagWriter
from liquid_control.cli.main import app
from liquid_control.contract.contract import Contract
from liquid_control.evaluate.replay.trace import Trace

TWIST = 'geometry_msgs/msg/Twist'


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    """The one line that tells what is wrong."""
    result = invoke(*arguments)
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith('liquid-control: '), result.stderr
    assert 'Traceback' not in result.output
    return lines[-1]


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / 'policy')


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return rec.write_bag(tmp_path / 'bag', rec.drive_entries(1.0))


def test_replay_writes_report_ticks_and_picture(tmp_path: Path, bag: Path, policy: Path) -> None:
    out = tmp_path / 'out'
    result = invoke(
        *('replay', bag, '--policy', policy),
        *('--json', out / 'r.json', '--csv', out / 'r.csv', '--picture', out / 'r.png'),
    )
    assert result.exit_code == 0, result.output
    report = json.loads((out / 'r.json').read_text())
    assert set(report['commands']) == {'steering_angle', 'speed'}
    assert {'mae', 'rmse', 'r2', 'corr', 'max_abs'} <= set(report['commands']['speed'])
    assert report['commands']['steering_angle']['r2'] is None  # it never changes
    assert (report['frames'], report['ticks'], report['ticks_left_out']) == (31, 21, 0)
    assert report['real_time_factor'] > 0
    assert (out / 'r.csv').read_text().count('\n') == 22
    assert (out / 'r.png').read_bytes().startswith(b'\x89PNG')
    assert 'steering_angle' in result.stdout


def test_golden_file_holds_until_the_policy_changes(
    tmp_path: Path, bag: Path, policy: Path
) -> None:
    golden = tmp_path / 'golden.csv'
    assert invoke('replay', bag, '--policy', policy, '--csv', golden)
    same = invoke('replay', bag, '--policy', policy, '--golden', golden)
    assert same.exit_code == 0
    assert 'Equal to' in same.stdout
    other = make_bundle(tmp_path / 'other', seed=1)
    report = tmp_path / 'report.json'
    changed = invoke(
        *('replay', bag, '--policy', other),
        *('--golden', golden, '--json', report),
    )
    assert changed.exit_code == 1
    comparison = json.loads(report.read_text())['comparison']
    assert comparison['equal'] is False
    assert comparison['first']['stamp_ns'] == rec.START_NS
    assert str(rec.START_NS) in ''.join(changed.stdout.split())
    shorter = invoke(
        *('replay', bag, '--policy', policy, '--end-frame', 10),
        *('--golden', golden, '--json', report),
    )
    assert shorter.exit_code == 1
    assert 'they part at tick' in json.loads(report.read_text())['comparison']['problem']


def test_two_policies_are_compared_where_nothing_was_commanded(
    tmp_path: Path, policy: Path
) -> None:
    entries = [e for e in rec.drive_entries(0.5) if e.topic != rec.COMMAND]
    bag = rec.write_bag(tmp_path / 'bag', entries)
    other = make_bundle(tmp_path / 'other', gain=1.5)
    assert invoke('replay', bag, '--policy', policy, '--against', policy).exit_code == 0
    assert invoke('replay', bag, '--policy', policy, '--against', other).exit_code == 1
    tolerant = invoke('replay', bag, '--policy', policy, '--against', other, '--atol', 10)
    assert tolerant.exit_code == 0


def test_damaged_bundle_is_named(tmp_path: Path, bag: Path) -> None:
    broken = make_bundle(tmp_path / 'broken', break_='hash')
    assert 'sha256 must be' in refused('replay', bag, '--policy', broken)


def test_unknown_policy_lists_what_there_is(bag: Path) -> None:
    assert "no policy bundle 'trak_cfc'" in refused('replay', bag, '--policy', 'trak_cfc')


def test_missing_bag_is_named(tmp_path: Path, policy: Path) -> None:
    assert 'nowhere does not exist' in refused('replay', tmp_path / 'nowhere', '--policy', policy)


def test_empty_bag_is_named(tmp_path: Path, policy: Path) -> None:
    bag = rec.write_bag(tmp_path / 'empty', [])
    assert 'is empty' in refused('replay', bag, '--policy', policy)


def test_truncated_bag_is_replayed_as_far_as_it_goes(tmp_path: Path, policy: Path) -> None:
    bag = rec.write_bag(tmp_path / 'bag', rec.drive_entries(3.0))
    (bag / 'metadata.yaml').unlink()
    (file,) = bag.glob('*.mcap')
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    report = tmp_path / 'r.json'
    result = invoke('replay', bag, '--policy', policy, '--json', report)
    assert result.exit_code == 0, result.output
    assert 0 < json.loads(report.read_text())['frames'] < 91


def test_missing_sensor_names_the_part_and_the_topics(tmp_path: Path, policy: Path) -> None:
    entries = [e for e in rec.drive_entries(0.3) if e.topic != rec.IMU]
    line = refused('replay', rec.write_bag(tmp_path / 'bag', entries), '--policy', policy)
    assert 'has no topic for imu of type sensor_msgs/msg/Imu' in line
    assert '/camera/image_raw (sensor_msgs/msg/Image)' in line


def test_missing_commands_are_named(tmp_path: Path, policy: Path) -> None:
    entries = [e for e in rec.drive_entries(0.3) if e.topic != rec.COMMAND]
    line = refused('replay', rec.write_bag(tmp_path / 'bag', entries), '--policy', policy)
    assert 'needs a topic for command' in line
    assert '--topic command=TOPIC may also name an Odometry' in line


def test_two_cameras_need_one_to_be_named(tmp_path: Path, policy: Path) -> None:
    entries = list(rec.drive_entries(0.3))
    left = [e._replace(topic='/left/image_raw') for e in entries if e.topic == rec.IMAGE]
    both = sorted([*entries, *left], key=lambda entry: entry.stamp_ns)
    bag = rec.write_bag(tmp_path / 'bag', both, **{'left/image_raw': 'sensor_msgs/msg/Image'})
    ask = ('replay', bag, '--policy', policy)
    assert 'several topics could be the image' in refused(*ask)
    assert invoke(*ask, '--image-topic', '/left/image_raw').exit_code == 0
    assert (
        'the bag has no such topic with messages; possible: /camera/image_raw, /left/image_raw'
        in refused(*ask, '--image-topic', '/lfet/image_raw')
    )


def test_odometry_can_stand_for_the_commands(tmp_path: Path, policy: Path) -> None:
    entries = [e for e in rec.drive_entries(0.5) if e.topic != rec.COMMAND]
    bag = rec.write_bag(tmp_path / 'bag', entries)
    report = tmp_path / 'r.json'
    result = invoke(
        *('replay', bag, '--policy', policy),
        *('--command-topic', rec.ODOM, '--json', report),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(report.read_text())['commands']['speed']['ticks'] == 11


def test_wheelbase_joins_yaw_rate_and_steering_angle(
    tmp_path: Path, bag: Path, policy: Path
) -> None:
    errors = []
    for wheelbase in (0.325, 2.7):
        csv = tmp_path / f'{wheelbase}.csv'
        ask = ('replay', bag, '--policy', policy, '--wheelbase', wheelbase, '--csv', csv)
        assert invoke(*ask).exit_code == 0
        errors.append(Trace.load(csv).recorded[0, 0])
    # The recorded commands are 1 m/s and 0.5 rad/s.
    assert errors == pytest.approx([math.atan(0.325 * 0.5), math.atan(2.7 * 0.5)])
    for wrong in (-1, 'inf'):
        assert '--wheelbase must be > 0 m' in refused(
            'replay', bag, '--policy', policy, '--wheelbase', wrong
        )


def test_commands_are_read_with_the_wheelbase_that_the_policy_was_trained_with(
    tmp_path: Path, bag: Path, policy: Path
) -> None:
    contract = Contract.parse((policy / 'policy.yaml').read_bytes())
    replace(contract, provenance={'wheelbase, m': 2.7}).dump(policy / 'policy.yaml')
    csv = tmp_path / 'replay.csv'
    assert invoke('replay', bag, '--policy', policy, '--csv', csv).exit_code == 0
    assert Trace.load(csv).recorded[0, 0] == pytest.approx(math.atan(2.7 * 0.5))


@pytest.mark.parametrize('verb', ['replay', 'info'])
def test_topics_that_nobody_published_on_play_no_part(
    tmp_path: Path, policy: Path, verb: str
) -> None:
    bag, entries = tmp_path / 'bag', [*rec.drive_entries(1.0)]
    with BagWriter(bag) as writer:
        for topic, kind in (*rec.TYPES.items(), ('/b', rec.TYPES[rec.IMAGE]), ('/nav', TWIST)):
            writer.add_topic(topic, kind)
        for entry in entries:
            writer.write_message(entry.topic, entry.values, entry.stamp_ns)
    if verb == 'info':
        told = invoke('bag', 'info', bag).output
        assert 'several topics' not in told
        assert '/nav' in told
    else:
        assert invoke('replay', bag, '--policy', policy).exit_code == 0
        ask = ('replay', bag, '--policy', policy, '--command-topic', '/nav')
        assert 'no such topic with messages' in refused(*ask)


def test_frames_beyond_the_bag_are_named(bag: Path, policy: Path) -> None:
    ask = ('replay', bag, '--policy', policy)
    assert 'has 31 frames, --start-frame 31 is beyond' in refused(*ask, '--start-frame', 31)
    assert '--start-frame must be >= 0' in refused(*ask, '--start-frame', -1)
    assert '--end-frame must be above --start-frame 5' in refused(
        *ask, '--start-frame', 5, '--end-frame', 5
    )


def test_camera_of_another_shape_is_named(tmp_path: Path, policy: Path) -> None:
    entries = [
        rec.image_entry(0, e.stamp_ns, width=320, height=120) if e.topic == rec.IMAGE else e
        for e in rec.drive_entries(0.3)
    ]
    line = refused('replay', rec.write_bag(tmp_path / 'bag', entries), '--policy', policy)
    assert 'could not be asked at any of 7 ticks' in line
    assert 'image of 320x120 has another aspect ratio' in line


def test_what_others_wrote_is_shown_and_neither_obeyed_nor_tripped_over(
    tmp_path: Path, bag: Path, policy: Path
) -> None:
    contract = Contract.parse((policy / 'policy.yaml').read_bytes())
    words = {'[bold]a[/': '\x1b]0;owned\x07[/red]'}
    replace(contract, name='[/red]', provenance={'description': words}).dump(
        policy / 'policy.yaml'
    )
    shown = invoke('inspect', policy)
    assert shown.exit_code == 0
    assert '[/red]' in shown.stdout
    assert '\x1b' not in shown.stdout
    topic = '/[/red]\x1bodd'
    entries = [e._replace(topic=topic) for e in rec.drive_entries(1.0) if e.topic == rec.COMMAND]
    entries[0].values['twist']['linear']['x'] = math.nan
    entries += [e for e in rec.drive_entries(1.0) if e.topic != rec.COMMAND]
    images = [entry for entry in entries if entry.topic == rec.IMAGE]
    for entry in images[:2]:
        entry.values['encoding'] = '[/red]\x1b'
    odd = rec.write_bag(tmp_path / 'odd', entries, **{topic[1:]: rec.TYPES[rec.COMMAND]})
    for told in (
        invoke('replay', odd, '--policy', policy),
        invoke('dataset', odd, '--out', tmp_path / 'dataset'),
    ):
        assert told.exit_code == 0, told.output
        assert '\x1b' not in told.output
        assert '/[/red]\N{REPLACEMENT CHARACTER}odd: 1 of 21 messages left out' in told.output


def test_inspect_shows_contract_and_provenance(policy: Path) -> None:
    result = invoke('inspect', policy)
    assert result.exit_code == 0
    for text in ('control rate', '20 Hz', 'steering_angle', 'seed', 'imu'):
        assert text in result.stdout
