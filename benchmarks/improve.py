# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""How fast collecting makes a poor driver good: failures per 10 laps, round by round.

The start is the recipe of track_cfc on one lap that the expert drove without a fault, so that it
shows no way back to the centre line. Each round is one guided drive of a few seconds on a new
track and a short training. Evaluated on ten tracks of which no round sees anything.

    python benchmarks/improve.py                  about six minutes on one core
    python benchmarks/improve.py --seed 2         another start, other windows and augmentation

Interrupted, it goes on where it was. The report is out/bench/improve/seed_1/better/report.html.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from script import run_script

from liquid_control.evaluate.report.improve_report import rounds_table, write_improve_report
from liquid_control.learn.improve.loop import improve
from liquid_control.learn.improve.simulated import FAILURES, OFFSET, SimulatedCollector
from liquid_control.learn.train.recipe_file import load_recipe
from liquid_control.learn.train.trainer import train
from liquid_control.rollout.collect import collect

RECIPE = Path(__file__).parents[1] / 'config' / 'training' / 'track_cfc.yaml'
FOLDER = Path('out/bench/improve')
ONE_LAP = 15.0
"""s"""


def main() -> None:
    """Run, print and write out/bench/improve.json."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--drives', type=int, default=1, help='in a round')
    parser.add_argument('--seconds', type=float, default=8.0, help='of a drive')
    parser.add_argument('--laps', type=int, default=2, help='on each track that is evaluated on')
    parser.add_argument('--seed', type=int, default=1, help='of the trainings')
    options = parser.parse_args()
    console = Console()
    recipe = load_recipe(RECIPE).changed(seed=options.seed)
    folder = FOLDER / f'seed_{options.seed}'
    start, store = folder / 'start', FOLDER / 'dataset'
    one_lap = collect([0], FOLDER / 'bags', seconds=ONE_LAP, disturb=False)
    if not start.exists():
        train(one_lap, recipe, start, store=store, runs=folder / 'train', console=console)
    improve(
        start,
        folder / 'models' / 'better',
        recipe,
        SimulatedCollector(
            drives=options.drives, seconds=options.seconds, laps=options.laps, console=console
        ),
        rounds=options.rounds,
        bags=one_lap,
        store=store,
        runs=folder,
        command=f'python benchmarks/improve.py --seed {options.seed}',
        on_round=report,
        console=console,
    )
    record = folder / 'better' / 'improve.json'
    console.print(rounds_table(record))
    rounds = json.loads(record.read_text())['rounds']
    rows = [
        {
            'seed': options.seed,
            'round': entry['number'],
            'failures_per_10_laps': entry['evaluation']['metrics'][FAILURES],
            'mean_offset_cm': entry['evaluation']['metrics'][OFFSET],
            'kept': entry['kept'],
            'seconds': entry['seconds'],
        }
        for entry in rounds
    ]
    Path('out/bench/improve.json').write_text(json.dumps(rows, indent=2) + '\n')


def report(folder: Path) -> None:
    """Write the page of the rounds so far."""
    write_improve_report(folder / 'improve.json', folder / 'report.html')


if __name__ == '__main__':
    run_script(main)
