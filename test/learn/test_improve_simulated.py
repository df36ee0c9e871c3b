# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Two rounds in the simulator from the command line, with a network too small to drive well."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.assets import find_bundle
from liquid_control.contract.bundle import load_bundle
from liquid_control.contract.contract import CommandSpec
from liquid_control.contract.inputs import ImageSpec
from liquid_control.learn.improve.simulated import MISSED, SimulatedCollector
from liquid_control.learn.train.recipe import Fit, Network, Recipe, Signals, Timing
from liquid_control.learn.train.trainer import train
from liquid_control.rollout.collect import collect

IMAGE = ImageSpec(
    width=32,
    height=16,
    source_width=160,
    source_height=120,
    crop=(0, 40, 160, 80),
    rate=30.0,
    max_age=0.3,
    features=6,
)
RECIPE = Recipe(
    signals=Signals(
        commands=(
            CommandSpec('steering_angle', 'rad', -0.5, 0.5),
            CommandSpec('speed', 'm/s', 0.0, 2.5),
        ),
        inputs={'image': IMAGE},
    ),
    network=Network(neurons=8),
    timing=Timing(steps=16),
    fit=Fit(epochs=2, passes=8.0, min_steps=1, batch_size=8, learning_rate=1e-2),
)


class Page(HTMLParser):
    """What a page shows, and what it would have to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value or '' for name, value in attrs if name in ('src', 'href') and value]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_two_rounds_in_the_simulator_and_their_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bag = collect([0], 'bags', seconds=4.0, workers=1)[0]
    weak = replace(RECIPE, fit=replace(RECIPE.fit, epochs=1, passes=1.0))
    train([bag], weak, Path('weak'), console=Console(quiet=True))
    Path('recipe.yaml').write_text(json.dumps(asdict(RECIPE)))
    command = [
        *('improve', str(bag), '--from', 'weak', '--out', 'models/better'),
        *(
            '--drives',
            '1',
            '--seconds',
            '5',
            '--evaluation-seeds',
            '201',
            '--recipe',
            'recipe.yaml',
        ),
    ]
    for rounds in ('1', '2'):  # the second goes on where the first ended
        result = CliRunner().invoke(app, [*command, '--rounds', rounds])
        assert result.exit_code == 0, result.output

    folder = tmp_path / 'out' / 'improve' / 'better'
    rounds_done = json.loads((folder / 'improve.json').read_text())['rounds']
    assert [entry['number'] for entry in rounds_done] == [0, 1, 2]
    assert [Path(bag).name for entry in rounds_done for bag in entry['bags']] == [
        'seed_1000',
        'seed_1001',
    ]
    assert rounds_done[1]['collected']['takeovers'] > 0
    last = load_bundle(rounds_done[2]['policy']).contract
    learnt = {entry['bag']: entry for entry in last.provenance['datasets']}
    assert set(learnt) == {'seed_0000', 'seed_1000', 'seed_1001'}
    # All of a guided drive is learnt from, whoever drove: the commands in it are the expert's.
    assert 'autonomous' in learnt['seed_1000']['who drove']

    scores = [tuple(entry['evaluation']['score']) for entry in rounds_done]
    kept = [index for index, entry in enumerate(rounds_done) if entry['kept']]
    assert scores[kept[-1]] == min(scores)
    assert (tmp_path / 'models' / 'better').exists() == (kept != [0])

    page = Page()
    page.feed((folder / 'report.html').read_text())
    assert 'failures per 10 laps' in page.text
    assert page.text.count('kept') + page.text.count('left out') == 2
    assert page.fetched
    assert all(source.startswith('data:image/png') for source in page.fetched)


def test_a_policy_that_flies_is_judged_by_the_targets_that_it_holds() -> None:
    judge = SimulatedCollector(evaluation_seeds=(201,), workers=1, console=Console(quiet=True))
    found = judge.evaluate(find_bundle('quadrotor_cfc'))
    assert (found.metrics[MISSED], found.metrics['crashed, %']) == (0.0, 0.0)
    assert found.score == (0.0, found.metrics['time to hold, s'])
    assert found.details[0]['outcome'] == 'held'
