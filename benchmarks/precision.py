# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Smaller encoders: what float16 and int8 save, and what they change in the commands.

Exports the weights of a bundle once in each precision, over the last steps of a recording, and
times an image through each encoder, in turns.

    python benchmarks/precision.py ../shared/data/donkeycar_bag
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from script import run_script

from liquid_control.contract.bundle import encoder_file
from liquid_control.learn.data.dataset import build
from liquid_control.learn.data.sequences import Steps, whole
from liquid_control.learn.export.exporter import export_bundle
from liquid_control.learn.train.recipe import Recipe
from liquid_control.learn.train.recipe_file import load_recipe
from liquid_control.learn.train.weights import load_weights
from liquid_control.nn.ensemble import AnyPolicy, make_policy
from liquid_control.runtime.inference.policy import Policy

PRECISIONS = ('float32', 'float16', 'int8')
TURNS, FRAMES = 9, 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('bag', type=Path)
    parser.add_argument('--policy', type=Path, default=Path('models/donkeycar_cfc'))
    parser.add_argument('--recipe', type=Path, default=Path('config/training/donkeycar_cfc.yaml'))
    parser.add_argument('--frames', type=int, nargs=2, default=(800, 1000))
    options = parser.parse_args()
    recipe = load_recipe(options.recipe)
    network = make_policy(recipe.network_config())
    load_weights(network, options.policy)
    with tempfile.TemporaryDirectory() as folder:
        episode = build([options.bag], recipe.signals, Path(folder) / 'store', Console())[0]
        steps = whole(episode.cut(tuple(options.frames)), round(1e9 / recipe.control_rate))
        rows = [
            export(network, recipe, steps, precision, Path(folder) / precision)
            for precision in PRECISIONS
        ]
        times = time_frames({name: Path(folder) / name for name in PRECISIONS}, steps)
    for row in rows:
        row['us'] = times[str(row['precision'])]
    report(rows)


def export(
    network: AnyPolicy, recipe: Recipe, steps: Steps, precision: str, path: Path
) -> dict[str, object]:
    """One precision's bundle: bytes of its encoder, loss as a share of each command's range."""
    contract = export_bundle(
        network,
        name=precision,
        path=path,
        control_rate=recipe.control_rate,
        elapsed_range=recipe.elapsed_range,
        steps=steps,
        precision=precision,
    )
    # Of float32 nothing is told: the others are compared with it.
    facts = contract.provenance.get('encoder', {})
    loss = facts.get('rms_loss_share_of_range', dict.fromkeys(contract.command_names, 0.0))
    size = sum((path / encoder_file(name)).stat().st_size for name in contract.images)
    return {'precision': precision, 'bytes': size, 'loss': loss, 'steps': len(steps.elapsed)}


def time_frames(bundles: dict[str, Path], steps: Steps) -> dict[str, float]:
    """Median microseconds of an image that is already cut and resized."""
    policies = {name: Policy.load(path) for name, path in bundles.items()}
    (image,) = next(iter(policies.values())).contract.images
    frames = steps.inputs[image].numpy()[:FRAMES]
    times: dict[str, list[float]] = {name: [] for name in policies}
    for turn in range(TURNS + 1):
        for name, policy in policies.items():
            begin = time.perf_counter()
            for frame in frames:
                policy.encode_input(image, np.ascontiguousarray(frame))
            if turn > 0:  # the first turn warms up
                times[name].append(1e6 * (time.perf_counter() - begin) / len(frames))
    return {name: statistics.median(measured) for name, measured in times.items()}


def report(rows: list[dict[str, object]]) -> None:
    commands = list(rows[0]['loss'])  # type: ignore[call-overload]
    table = Table(box=SIMPLE, title=f'encoders over {rows[0]["steps"]} steps')
    for heading in ('precision', 'bytes', *commands, 'us an image'):
        table.add_column(heading, justify='left' if heading == 'precision' else 'right')
    for row in rows:
        losses = (f'{100 * row["loss"][name]:.3f} %' for name in commands)  # type: ignore[index]
        table.add_row(str(row['precision']), f'{row["bytes"]:,}', *losses, f'{row["us"]:.0f}')
    Console().print(table)
    out = Path('out/bench/precision.json')
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=2))


if __name__ == '__main__':
    run_script(main)
