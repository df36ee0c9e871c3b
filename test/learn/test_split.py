# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Something is held out to evaluate on wherever there is enough, and it is said what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.stripe_drives import COMMANDS, RECIPE

from liquid_control.bags.errors import BagError
from liquid_control.learn.data.segments import DEFAULT_WEIGHTS
from liquid_control.learn.data.split import Split, split_episodes
from liquid_control.learn.data.spread import spread
from liquid_control.learn.train.fit import epoch_plan
from liquid_control.learn.train.recipe import Fit


def split(drives: list, **changes: object) -> Split:
    return split_episodes(drives, replace(RECIPE, **changes))


@pytest.mark.parametrize(('count', 'held_out'), [(30, 3), (5, 1), (3, 1)])
def test_of_few_recordings_one_is_held_out(drive, count: int, held_out: int) -> None:
    found = split([drive(10.0, i) for i in range(count)])
    assert [len(part) for part in (found.train, found.validation)] == [count - held_out, held_out]
    assert f'{held_out} of {count} recordings, {held_out}0.0 of {count}0.0 s' in found.held_out
    assert found.validation[0].name in found.held_out


@pytest.mark.parametrize('lengths', [[60.0], [25.0, 35.0]])
def test_where_a_whole_one_would_be_much_the_end_of_the_longest_is_held_out(
    drive, lengths: list[float]
) -> None:
    found = split([drive(length, i) for i, length in enumerate(lengths)])
    (part,) = found.validation
    assert part.duration == pytest.approx(6.0)
    assert sum(episode.duration for episode in found.train) == pytest.approx(54.0)
    assert found.held_out == f'the end of {part.name}, 6.0 of 60.0 s'
    before = next(e for e in found.train if e.digest == part.digest)
    assert before.end_ns == part.start_ns


def test_seconds_that_are_held_out_do_not_choose_the_weights(drive) -> None:
    assert not split([drive(60.0, 0)]).chooses
    assert split([drive(30.0, i) for i in range(10)]).chooses


def test_where_nothing_can_be_held_out_that_is_said(drive) -> None:
    assert split([drive(3.0, 0)]).held_out == 'nothing, 3.0 s in all are too few'
    assert split([drive(60.0, 0)], holdout=0.0).held_out == 'nothing, as holdout 0 says'


def test_something_is_left_to_learn_from_however_much_is_held_out(drive) -> None:
    assert len(split([drive(10.0, 0), drive(10.0, 1)], holdout=0.9).train) == 1


def test_the_spread_is_of_what_is_learnt_from_and_never_nothing(drive) -> None:
    episode = drive(10.0, 0)
    found = spread([episode], DEFAULT_WEIGHTS, COMMANDS)
    learnt = episode.commands[episode.command_ns <= episode.end_ns]
    np.testing.assert_allclose(found.mean, learnt.mean(axis=0), atol=1e-6)
    assert found.deviation[1] == pytest.approx(0.0, abs=1e-6)  # a constant speed
    assert found.scale(COMMANDS)[1] == pytest.approx(0.05)  # of half its range of 2 m/s
    absurd = episode.commands.copy()
    absurd[3, 1] = 1e6
    spiked = spread([replace(episode, commands=absurd)], DEFAULT_WEIGHTS, COMMANDS)
    assert spiked.deviation[1] < 0.1
    blind = replace(episode, commands=episode.commands * [np.nan, 1.0])
    with pytest.raises(BagError, match='steering_angle is known nowhere'):
        spread([blind], DEFAULT_WEIGHTS, COMMANDS)


@pytest.mark.parametrize(
    ('windows', 'fit', 'plan'),
    [
        (3, Fit(), (4, 50)),
        (97, Fit(), (4, 50)),
        (400, Fit(), (8, 50)),
        (3200, Fit(), (32, 100)),
        (97, Fit(batch_size=6), (6, 50)),
        (97, Fit(min_steps=1), (32, 3)),
    ],
)
def test_little_data_gives_as_many_steps_in_smaller_batches(
    windows: int, fit: Fit, plan: tuple[int, int]
) -> None:
    assert epoch_plan(windows, fit) == plan


def test_batches_stay_large_enough_to_be_shared() -> None:
    assert epoch_plan(97, Fit(), processes=8) == (8, 50)


@pytest.fixture(scope='module')
def drive(tmp_path_factory: pytest.TempPathFactory):
    """Makes drives of any length from one recording."""
    from rich.console import Console
    from support.stripe_drives import write_drive

    from liquid_control.learn.data.dataset import build

    folder = tmp_path_factory.mktemp('split')
    bag = write_drive(Path(folder) / 'drive', seconds=60.0)
    (whole,) = build([bag], RECIPE.signals, folder / 'store', Console(quiet=True))

    def make(seconds: float, number: int):
        part = whole.within(whole.start_ns, whole.start_ns + round(seconds * 1e9))
        return replace(part, name=f'drive_{number}', digest=f'{number:064x}')

    return make
