# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The verb that shows what a policy looks at and what its neurons do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from liquid_control.cli.options import PolicyName, Topics, cores, named_topics
from liquid_control.cli.terminal import table_console


def explain(
    bag: Annotated[Path, typer.Argument(help='rosbag2 (MCAP, sqlite3) or ROS 1 bag.')],
    policy: PolicyName,
    out: Annotated[
        Path | None, typer.Option(help='Folder to write; out/explain/<policy> without it.')
    ] = None,
    seconds: Annotated[
        float, typer.Option(help='Of the recording, at most: all of it is kept in memory.', min=1)
    ] = 60.0,
    start_frame: Annotated[int, typer.Option(help='Index of the first frame.', min=0)] = 0,
    end_frame: Annotated[
        int | None, typer.Option(help='Index of the first frame left out.')
    ] = None,
    topic: Topics = None,
    film: Annotated[bool, typer.Option(help='Write attention.mp4 too.')] = True,
    quick: Annotated[bool, typer.Option('--quick', help='6 moments instead of 24.')] = False,
    jobs: Annotated[
        int | None, typer.Option(help='Processes; all cores without it.', min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help='Of the noise.', min=0)] = 0,
) -> None:
    """Show what a policy looks at and what its neurons do, on a recording.

    Writes report.html, which holds everything, its tables (CSV) and figures
    (PNG), and attention.mp4. Two methods say what counts: VisualBackProp, where
    the encoder finds something, and occlusion, what the command changes by
    where something is covered, through encoder and state. Where they disagree,
    believe the second. Of every neuron: activity, time constant, correlations,
    a small tree in words; and the wiring with the activity on it.

    Goes on where it was broken off. A node shows the first as ~/attention.

        liquid-control explain my_bag --policy track_cfc
    """
    from liquid_control.common.assets import find_bundle
    from liquid_control.common.errors import LiquidControlError
    from liquid_control.common.jobs import open_pool
    from liquid_control.evaluate.evidence.study import run
    from liquid_control.evaluate.explain import network, study
    from liquid_control.evaluate.replay.bag_replay import Options
    from liquid_control.learn.export.rebuild import load_network
    from liquid_control.runtime.inference.policy import Policy
    from liquid_control.runtime.inference.trial import PATIENT, Trials

    options = Options(start_frame, end_frame, named_topics(topic), need_command=False)
    path = find_bundle(policy)
    bundle, _ = Trials().load(path, limits=PATIENT)
    folder = out or Path('out') / 'explain' / bundle.contract.name
    console = Console(stderr=True)
    subject = study.prepare(
        bag, Policy(bundle), options, folder, seconds=seconds, quick=quick, console=console
    )
    inside: Any
    try:
        inside = network.look_inside(load_network(path), subject.drive)
    except LiquidControlError as error:
        inside = network.unknown(subject.drive.states.shape[1], str(error))
    if film and subject.drive.images:
        study.film(subject, folder / 'attention.mp4', console)
    asked = study.study(subject, inside, bag=bag, seed=seed)
    with open_pool(jobs or cores()) as pool:
        run(asked, folder, pool=pool, console=table_console())
