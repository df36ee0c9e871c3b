# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A recipe says only what is to be different, in a file or on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.stripe_drives import RECIPE, SIGNALS

from liquid_control.cli.learn import _seeds
from liquid_control.common.errors import ConfigError
from liquid_control.contract.inputs import ImuSpec
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Fit, Recipe
from liquid_control.learn.train.recipe_file import build_recipe


def build(folder: Path, text: str = '', *changes: str, start: Recipe | None = None) -> Recipe:
    """A recipe over the signals of the stripe drives, which stand for those of a first bag."""
    path = folder / 'recipe.yaml'
    path.write_text(text)
    return build_recipe(
        lambda wheelbase, *_: replace(SIGNALS, wheelbase=wheelbase or SIGNALS.wheelbase),
        path=path if text else None,
        changes=changes,
        start=start,
    )


def unasked(
    wheelbase: float | None, wanted: Mapping[str, str] | None, commands: Sequence[str]
) -> Signals:
    raise AssertionError('a recording was asked')


def test_a_recipe_may_state_one_thing_of_the_signals(tmp_path: Path) -> None:
    recipe = build(tmp_path, 'signals: {inputs: {image: {crop: [0, 4, 48, 20]}, imu: null}}')
    image: Any = SIGNALS.inputs['image']
    assert recipe.signals == replace(
        SIGNALS, inputs={'image': replace(image, crop=(0, 4, 48, 20))}
    )


def test_inputs_that_name_their_kinds_are_asked_of_the_recording(tmp_path: Path) -> None:
    asked: list[Any] = []
    (tmp_path / 'recipe.yaml').write_text('signals: {inputs: {front: {kind: image}}}')
    image = SIGNALS.inputs['image']

    def suggest(
        wheelbase: float | None, wanted: Mapping[str, str] | None, commands: Sequence[str]
    ) -> Signals:
        asked.append(wanted)
        return replace(SIGNALS, inputs={'front': image})

    recipe = build_recipe(suggest, path=tmp_path / 'recipe.yaml')
    assert asked == [{'front': 'image'}]
    assert recipe.signals.inputs == {'front': image}


def test_signals_written_before_there_were_inputs_are_refused_with_the_new_spelling(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        ConfigError, match=r'imu stands under inputs, .*: inputs: {imu: {kind: imu'
    ):
        build(tmp_path, 'signals: {imu: {rate: 50, max_age: 0.2}}')


def test_signals_that_stand_alone_are_taken_as_they_are(tmp_path: Path) -> None:
    text = 'signals: {inputs: {imu: {kind: imu, rate: 50, max_age: 0.2}}, commands: [{name: speed, unit: m/s, min: 0, max: 1}, {name: yaw_rate, unit: rad/s, min: -1, max: 1}]}'  # noqa: E501
    (tmp_path / 'recipe.yaml').write_text(text)
    recipe = build_recipe(unasked, path=tmp_path / 'recipe.yaml')
    assert recipe.signals.inputs == {'imu': ImuSpec(rate=50.0, max_age=0.2)}
    assert recipe.signals.command_names == ('speed', 'yaw_rate')


def test_what_is_silent_in_a_recipe_holds_as_in_the_policy_to_start_from(tmp_path: Path) -> None:
    start = replace(RECIPE, network=replace(RECIPE.network, encoder='keypoints', dropout=0.5))
    recipe = build(tmp_path, 'network: {neurons: 12}', start=start)
    assert recipe.network == replace(start.network, neurons=12)
    assert recipe.signals == start.signals


def test_any_field_can_be_set_on_the_command_line(tmp_path: Path) -> None:
    changes = {
        'fit.epochs=3': ('fit', 'epochs', 3),
        'fit.learning_rate=1e-3': ('fit', 'learning_rate', 1e-3),
        'fit.command_weights=[4, 1]': ('fit', 'command_weights', (4.0, 1.0)),
        'network.encoder=keypoints': ('network', 'encoder', 'keypoints'),
        'signals.inputs.imu=null': ('signals', 'inputs', {'image': SIGNALS.inputs['image']}),
        'signals.wheelbase=2.7': ('signals', 'wheelbase', 2.7),
    }
    recipe = build(tmp_path, 'fit: {epochs: 9}', *changes, 'signals.commands.speed.max=3')
    for group, field, value in changes.values():
        assert getattr(getattr(recipe, group), field) == value
    assert [command.max for command in recipe.signals.commands] == [0.5, 3.0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ('fit.epoch=3', 'no such field; the nearest is fit.epochs'),
        ('epochs=3', 'the nearest is'),
        ('fit.epochs=many', 'epochs must be a int'),
        ('fit.epochs=0', 'epochs must be at least 1, found 0'),
        ('fit.epochs', 'expected a field and its value'),
        ('fit.learning_rate=.nan', 'learning_rate must be within 1e-12..10, found nan'),
        ('fit.learning_rate=0', 'learning_rate must be within'),
        ('fit.seed=4294967296', 'seed must be within'),
        ('fit.command_weights=[0, 0]', 'nothing would be learnt'),
        ('network.neurons=100000000', 'neurons must be within 4..4096'),
        ('network.neurons=4', 'neurons of cfc must be at least 5 for 2 commands, found 4'),
        ('network.sparsity=0.05', r'sparsity must be at least 0\.1, found 0\.05'),
        ('network.channels=[16, 24, 1000000]', 'numbers within 1..4096'),
        ('signals.wheelbase=0', 'wheelbase must be within'),
        ('weights.human=-1', 'human must be >= 0'),
        ('fit.command_weights=[1]', r'must have 2 entries \(steering_angle, speed\)'),
        ('holdout=1.5', 'holdout must be within 0..0.9'),
        ('timing.settle=8', 'settle must be within 0..7'),
        ('signals.commands.speed=3', 'name one of its fields, like signals.commands.speed.max'),
    ],
)
def test_a_wrong_option_names_the_field(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(tmp_path, 'timing: {steps: 8}', change)


def test_a_policy_that_would_see_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='inputs must be within'):
        build(tmp_path, 'signals: {inputs: {image: null, imu: null}}')


def test_a_range_of_seeds_that_runs_backwards_is_refused() -> None:
    assert _seeds('3-5,9') == [3, 4, 5, 9]
    with pytest.raises(ConfigError, match='5-3 holds no seed, did you mean 3-5'):
        _seeds('5-3')


def test_the_defaults_of_a_recipe_are_recipe_enough() -> None:
    assert build_recipe(lambda *_: SIGNALS).fit == Fit()


def test_commands_that_a_recipe_names_are_not_asked_of_a_recording(tmp_path: Path) -> None:
    asked: list[Sequence[str]] = []

    def suggest(wheelbase: Any, wanted: Any, commands: Sequence[str]) -> Signals:
        asked.append(commands)
        return SIGNALS

    (tmp_path / 'recipe.yaml').write_text(
        'signals: {commands: [{name: steering, unit: "1", min: -1.0, max: 1.0}]}'
    )
    recipe = build_recipe(suggest, path=tmp_path / 'recipe.yaml')
    assert asked == [['steering']]
    assert recipe.signals.command_names == ('steering',)
