# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command `liquid-control`: thin verbs over the rooms of the package."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, Any

from liquid_control.common.errors import LiquidControlError
from liquid_control.common.files import check_output, reason, write_output
from liquid_control.common.packages import explained, needed_by

with needed_by('liquid-control'):
    import typer
    from rich.console import Console
    from typer.core import TyperGroup

    from liquid_control.cli import bag as cli_bag
    from liquid_control.cli import evaluate as cli_evaluate
    from liquid_control.cli import explain as cli_explain
    from liquid_control.cli import learn as cli_learn
    from liquid_control.cli.options import Difficulty, PolicyName, ReplayTopicOptions, grouped
    from liquid_control.cli.terminal import complain

_PICTURES = ('.png', '.svg', '.pdf')

# What a verb needs is imported inside it: `liquid-control --help` answers at once, and `drive`
# works on a machine without torch.


class _Verbs(TyperGroup):
    """Errors a user can act on are one line on stderr, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            try:
                return super().invoke(ctx)
            except ImportError as error:
                raise explained(error) from error
        except LiquidControlError as error:
            complain(str(error))
            raise typer.Exit(1) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # nobody reads what is printed, as after `| head`
                raise
            complain(reason(error))
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            print('liquid-control: interrupted', file=sys.stderr)
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=_Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

app.add_typer(cli_bag.app, name='bag')
app.add_typer(cli_evaluate.app, name='evaluate')

Bundle = Annotated[str, typer.Argument(help='Policy bundle: a directory, or a shipped name.')]


@app.callback()
def _liquid_control() -> None:
    """Drive robots with liquid neural networks: record, train, compile, drive."""


@app.command()
def drive(
    policy: Annotated[
        str, typer.Option(help="A directory, or a shipped name; the robot's own without it.")
    ] = '',
    robot: Annotated[
        str, typer.Option(help='car, quadrotor or rover; what the policy commands without it.')
    ] = '',
    seed: Annotated[int, typer.Option(help='Of the world; training never sees 101 to 103.')] = 101,
    laps: Annotated[int, typer.Option(help='Of the car.')] = 2,
    rate: Annotated[
        float, typer.Option(help="Control rate, Hz; the policy's own without it.")
    ] = 0.0,
    out: Annotated[
        Path | None, typer.Option(help='Directory to make; out/drive/<stamp> without it.')
    ] = None,
    view: Annotated[
        bool, typer.Option('--view', help='Serve the page on which a person can take over.')
    ] = False,
    port: Annotated[int, typer.Option(help='Of the page.', min=1, max=65535)] = 8080,
    difficulty: Difficulty = None,
) -> None:
    """Drive a simulated robot: simulator, policy node and recorder, and a report."""
    from liquid_control.evaluate.closed_loop.drive import DriveOptions
    from liquid_control.evaluate.closed_loop.drive import drive as drive_laps
    from liquid_control.evaluate.errors import DriveError

    asked = tuple(difficulty or ())
    options = DriveOptions(policy, seed, laps, rate, out, view, robot, port, asked)
    reason = drive_laps(options, Console())
    if reason:
        raise DriveError(reason)


@app.command()
def teach(
    seed: Annotated[int, typer.Option(help='Of the track to drive on.')] = 104,
    laps: Annotated[int, typer.Option(help='By hand, and then by your policy.')] = 3,
    out: Annotated[
        Path | None,
        typer.Option(
            help='Directory to make, or of a lesson to go on with; else out/teach/<stamp>.'
        ),
    ] = None,
    port: Annotated[int, typer.Option(help='Of the page.', min=1, max=65535)] = 8080,
    pace: Annotated[
        float, typer.Option(help='Simulated seconds per second; 0.5 gives a beginner time.')
    ] = 1.0,
    top_speed: Annotated[
        float, typer.Option(help='Of driving by hand, m/s; can be changed on the page.')
    ] = 0.8,
    changes: Annotated[
        list[str] | None,
        typer.Option('--set', help='Any field of the recipe, e.g. fit.epochs=12.'),
    ] = None,
) -> None:
    """Drive the simulated car by hand on a page; it learns from you and drives by itself."""
    from liquid_control.evaluate.teach.teach import TeachOptions
    from liquid_control.evaluate.teach.teach import teach as give_lesson

    options = TeachOptions(seed, laps, out, port, pace, top_speed, tuple(changes or ()))
    give_lesson(options, Console())


@app.command()
@grouped
def replay(
    bag: Annotated[Path, typer.Argument(help='rosbag2 (MCAP, sqlite3) or ROS 1 bag.')],
    policy: PolicyName,
    start_frame: Annotated[
        int,
        typer.Option(help='Index of the first frame; without a camera, of the first input.'),
    ] = 0,
    end_frame: Annotated[
        int | None, typer.Option(help='Index of the first frame left out.')
    ] = None,
    *,
    topics: ReplayTopicOptions,
    wheelbase: Annotated[
        float | None,
        typer.Option(help='Of the recorded robot, m; the robot that the policy knows without it.'),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help='Another policy; exit status 1 where they differ.')
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help='CSV of an earlier replay; exit status 1 where it differs.')
    ] = None,
    atol: Annotated[float, typer.Option(help='Allowed absolute difference.', min=0)] = 1e-4,
    rtol: Annotated[float, typer.Option(help='Allowed relative difference.', min=0)] = 1e-4,
    json_file: Annotated[Path | None, typer.Option('--json', help='Report to write.')] = None,
    csv_file: Annotated[Path | None, typer.Option('--csv', help='Ticks to write.')] = None,
    picture: Annotated[Path | None, typer.Option(help='PNG, SVG or PDF to write.')] = None,
) -> None:
    """Run a policy over a recording and compare it with the recorded commands."""
    from liquid_control.bags.reader import BagReader
    from liquid_control.evaluate.errors import ReplayError
    from liquid_control.evaluate.replay.bag_replay import Options
    from liquid_control.evaluate.replay.compare import compare
    from liquid_control.evaluate.replay.trace import Trace
    from liquid_control.evaluate.report import console as show

    if against is not None and golden is not None:
        raise ReplayError('--against and --golden exclude each other: name one')
    if picture is not None and picture.suffix.lower() not in _PICTURES:
        raise ReplayError(f'--picture must end in {", ".join(_PICTURES)}, found {picture.name}')
    for target in filter(None, (csv_file, json_file, picture)):
        check_output(target)
    options = Options(
        start_frame=start_frame,
        end_frame=end_frame,
        topics=topics.named(),
        wheelbase=wheelbase,
        need_command=against is None and golden is None,
    )
    expected = Trace.load(golden) if golden is not None else None
    chosen, other = _policy(policy), _policy(against) if against is not None else None
    with BagReader(bag) as reader:
        for problem in reader.problems:
            complain(f'{bag.name}: {problem}')
        result = show.replay_with_progress(reader, chosen, options, Console(stderr=True))
        if other is not None:
            expected = show.replay_with_progress(
                reader, other, options, Console(stderr=True)
            ).trace
    comparison = None
    if expected is not None:
        comparison = compare(
            expected, result.trace, reference=against or str(golden), atol=atol, rtol=rtol
        )
    if csv_file is not None:
        result.trace.save(csv_file)
    if json_file is not None:
        report = json.dumps(result.report(comparison), indent=2, allow_nan=False)
        write_output(json_file, report + '\n')
    if picture is not None:
        from liquid_control.evaluate.report.figures import draw_replay

        draw_replay(result, picture)
    show.print_replay(result, Console())
    if comparison is not None:
        show.print_comparison(comparison, len(result.trace.stamp_ns), Console())
        if not comparison.equal:
            raise typer.Exit(1)


@app.command()
def inspect(
    policy: Bundle,
) -> None:
    """Print a policy bundle's contract, provenance and metrics."""
    from liquid_control.common.assets import find_bundle
    from liquid_control.contract.bundle import load_bundle
    from liquid_control.evaluate.report.inspect_bundle import print_bundle

    print_bundle(load_bundle(find_bundle(policy)), Console())


for verb in (
    cli_explain.explain,
    cli_learn.collect,
    cli_learn.dataset,
    cli_learn.train,
    cli_learn.improve,
):
    app.command()(verb)


@app.command()
def sign(
    policy: Bundle,
    key: Annotated[Path, typer.Option(help='Private key, PEM.')],
    new_key: Annotated[bool, typer.Option('--new-key', help='Create the key first.')] = False,
) -> None:
    """Sign a policy bundle, so that robots with `trusted_keys` accept it."""
    from liquid_control.common.assets import find_bundle
    from liquid_control.contract.bundle import sign_bundle
    from liquid_control.contract.signing import create_key

    console, path = Console(soft_wrap=True), find_bundle(policy)
    if new_key:
        public = create_key(key)
        console.print(f'new key: keep {key} secret, give {public} to the robots (trusted_keys)')
    console.print(f'signed: {sign_bundle(path, key)}')


@app.command()
def verify(
    policy: Bundle,
    key: Annotated[list[Path], typer.Option(help='Public key, PEM; one of several is enough.')],
) -> None:
    """Check a policy bundle's signature and everything else that a robot checks of it."""
    from liquid_control.common.assets import find_bundle
    from liquid_control.runtime.inference.trial import Trials

    bundle, report = Trials().load(find_bundle(policy), trusted_keys=list(map(str, key)))
    Console(soft_wrap=True).print(
        f'{bundle.path}: signed and sound, digest {bundle.digest}; it took '
        f'{report.core * 1e3:.2g} ms a step here'
    )


@app.command()
def build_engine(
    policy: Bundle,
    provider: Annotated[str, typer.Option(help='Only tensorrt builds ahead.')] = 'tensorrt',
    fp16: Annotated[bool, typer.Option('--fp16', help='Allow half precision.')] = False,
    device_id: Annotated[int, typer.Option(help='CUDA device number.')] = 0,
    engine_cache: Annotated[str, typer.Option(help='As the parameter of the node.')] = '',
) -> None:
    """Build a policy's TensorRT engines for this machine, so that no start waits for them."""
    from liquid_control.common.assets import find_bundle
    from liquid_control.common.errors import ConfigError
    from liquid_control.contract.bundle import load_bundle
    from liquid_control.runtime.inference.providers import ProviderOptions
    from liquid_control.runtime.inference.tensorrt import build_engines

    if provider != 'tensorrt':
        raise ConfigError(f'--provider must be tensorrt, found {provider}: others build nothing')
    console = Console(soft_wrap=True)
    options = ProviderOptions(device_id=device_id, fp16=fp16, engine_cache=engine_cache)
    bundle = load_bundle(find_bundle(policy))
    for directory in build_engines(bundle, options, console.print):
        console.print(f'ready: {directory}')


def _policy(name: str) -> Any:
    from liquid_control.common.assets import find_bundle
    from liquid_control.runtime.inference.policy import Policy
    from liquid_control.runtime.inference.trial import PATIENT, Trials

    bundle, _ = Trials().load(find_bundle(name), limits=PATIENT)
    return Policy(bundle)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == '__main__':
    main()
