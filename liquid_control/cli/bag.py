# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Verbs that look after recordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from liquid_control.cli.options import InputTopicOptions, PolicyName, grouped
from liquid_control.cli.terminal import complain, table_console
from liquid_control.common.plain_text import printable

app = typer.Typer(help='Look after recordings.', no_args_is_help=True)


@app.command()
def info(
    bags: Annotated[list[Path], typer.Argument(help='Recordings of any kind.')],
) -> None:
    """Print what recordings hold, what could be learnt from it, and what is wrong with them."""
    from liquid_control.bags.info import inspect_bag
    from liquid_control.common.errors import LiquidControlError
    from liquid_control.common.files import reason
    from liquid_control.evaluate.report.bag_table import print_info

    console, failed = table_console(), False
    for bag in bags:
        try:
            found = inspect_bag(bag)
        except (LiquidControlError, OSError) as error:
            complain(reason(error) if isinstance(error, OSError) else str(error))
            failed = True
            continue
        print_info(found, console)
        failed = failed or not found.topics
    if failed:
        raise typer.Exit(1)


@app.command()
def repair(
    bags: Annotated[list[Path], typer.Argument(help='Directories of recordings.')],
) -> None:
    """Finish the recordings of a killed recorder, having proved that they read back."""
    from liquid_control.bags.repair import repair as repair_bag

    console = Console(soft_wrap=True)
    for bag in bags:
        report = repair_bag(bag)
        done = f'repaired {", ".join(report.repaired_files)}' if report.repaired_files else 'whole'
        messages = sum(report.message_counts.values())
        lines = [
            f'{bag}: {done}; {messages} messages on {len(report.message_counts)} topics '
            f'read back, {report.lost_bytes / 1e6:.1f} MB lost'
        ]
        lines += [
            f'{bag}: {count} messages on {topic} cannot be decoded'
            for topic, count in report.unreadable.items()
        ]
        for line in lines:
            console.print(printable(line), markup=False, highlight=False)


@app.command()
@grouped
def topics(
    bag: Annotated[Path, typer.Argument(help='rosbag2 (MCAP, sqlite3) or ROS 1 bag.')],
    policy: PolicyName,
    named: InputTopicOptions,
) -> None:
    """Print which topics of a recording a policy's inputs come from, as JSON.

    By the names under which the policy node listens to them.
    """
    from liquid_control.bags.reader import BagReader
    from liquid_control.common.assets import find_bundle
    from liquid_control.contract.bundle import load_bundle
    from liquid_control.evaluate.replay.topics import choose_topics

    contract = load_bundle(find_bundle(policy)).contract
    listened: dict[str, dict[str, str]] = {}
    with BagReader(bag) as reader:
        found = choose_topics(reader, contract, named.named(), need_command=False)
        for recorded, parts in found.inputs.parts.items():
            msgtype = reader.topics[recorded]
            for part in parts:
                spec = contract.inputs[part.name]
                (source,) = (s for s in spec.sources(part.name) if s.role == part.role)
                entry = {'topic': recorded, 'type': msgtype, 'encoder': spec.encoder}
                listened[source.topics()[msgtype]] = entry
    print(json.dumps(listened))
