"""The command `liquid-control`: thin verbs over the rooms of the package."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from liquid_control.runtime.errors import LiquidControlError

# What a verb needs is imported inside it: `liquid-control --help` answers at once, and `drive`
# works on a machine without torch.


class _Verbs(TyperGroup):
    """Errors a user can act on are one line on stderr, not a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LiquidControlError as error:
            print(f'liquid-control: {" ".join(str(error).split())}', file=sys.stderr)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            print('liquid-control: interrupted', file=sys.stderr)
            raise typer.Exit(130) from error


app = typer.Typer(
    cls=_Verbs, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

bag_verbs = typer.Typer(help='Look after recordings.', no_args_is_help=True)
app.add_typer(bag_verbs, name='bag')

Policy = Annotated[str, typer.Option(help='Policy bundle: a directory, or a shipped name.')]
Bundle = Annotated[str, typer.Argument(help='Policy bundle: a directory, or a shipped name.')]
Jobs = Annotated[
    int | None, typer.Option(help='Processes that decode bags; all cores without it.', min=1)
]
Topic = Annotated[str | None, typer.Option(help='Where the type does not tell.')]


@app.callback()
def _liquid_control() -> None:
    """Drive robots with liquid neural networks: record, train, compile, drive."""


@app.command()
def drive(
    policy: Policy = 'track_cfc',
    seed: Annotated[int, typer.Option(help='Of the track; training never sees 101 to 103.')] = 101,
    laps: Annotated[int, typer.Option(help='To drive.')] = 2,
    rate: Annotated[float, typer.Option(help='Control rate, Hz.')] = 20.0,
    out: Annotated[
        Path | None, typer.Option(help='Directory to make; out/drive/<stamp> without it.')
    ] = None,
) -> None:
    """Drive the simulated car: simulator, policy node and recorder, and a report."""
    from liquid_control.evaluate.drive import DriveOptions
    from liquid_control.evaluate.drive import drive as drive_laps
    from liquid_control.evaluate.errors import DriveError

    reason = drive_laps(DriveOptions(policy, seed, laps, rate, out), Console())
    if reason:
        raise DriveError(reason)


@app.command()
def replay(
    bag: Annotated[Path, typer.Argument(help='rosbag2 (MCAP, sqlite3) or ROS 1 bag.')],
    policy: Policy,
    start_frame: Annotated[int, typer.Option(help='Index of the first frame.')] = 0,
    end_frame: Annotated[
        int | None, typer.Option(help='Index of the first frame left out.')
    ] = None,
    image_topic: Topic = None,
    imu_topic: Topic = None,
    odom_topic: Topic = None,
    command_topic: Topic = None,
    wheelbase: Annotated[
        float, typer.Option(help='Of the recorded robot, m; joins yaw rate and steering angle.')
    ] = 0.325,
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
    from liquid_control.evaluate import console as show
    from liquid_control.evaluate.bag_replay import Options
    from liquid_control.evaluate.compare import compare
    from liquid_control.evaluate.errors import ReplayError
    from liquid_control.evaluate.trace import Trace

    if against is not None and golden is not None:
        raise ReplayError('--against and --golden exclude each other: name one')
    options = Options(
        start_frame=start_frame,
        end_frame=end_frame,
        image_topic=image_topic,
        imu_topic=imu_topic,
        odom_topic=odom_topic,
        command_topic=command_topic,
        wheelbase=wheelbase,
        need_command=against is None and golden is None,
    )
    expected = Trace.load(golden) if golden is not None else None
    chosen, other = _policy(policy), _policy(against) if against is not None else None
    with BagReader(bag) as reader:
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
        result.trace.save(_writable(csv_file))
    if json_file is not None:
        report = json.dumps(result.report(comparison), indent=2, allow_nan=False)
        _writable(json_file).write_text(report + '\n')
    if picture is not None:
        from liquid_control.evaluate.pictures import draw_replay

        draw_replay(result, _writable(picture))
    show.print_replay(result, Console())
    if comparison is not None:
        show.print_comparison(comparison, len(result.trace.stamp_ns), Console())
        if comparison.first is not None:
            raise typer.Exit(1)


@app.command()
def inspect(
    policy: Bundle,
) -> None:
    """Print a policy bundle's contract, provenance and metrics."""
    from liquid_control.evaluate.inspect_bundle import print_bundle
    from liquid_control.runtime.bundle import find_bundle, load_bundle, shipped_models

    print_bundle(load_bundle(find_bundle(policy, shipped_models())), Console())


@app.command()
def collect(
    out: Annotated[Path, typer.Option(help='Where the bags go, one directory for each seed.')],
    seeds: Annotated[str, typer.Option(help='Of the tracks, e.g. 0-59 or 3,5,8.')] = '0-59',
    seconds: Annotated[float, typer.Option(help='Simulated duration of each drive, s.')] = 40.0,
    disturb: Annotated[
        bool, typer.Option(help='Push the car off its line, so that recoveries are shown.')
    ] = True,
) -> None:
    """Record expert drives in the simulator, faster than life; resumes after an interruption."""
    from liquid_control.sim.collect import collect as collect_bags

    collect_bags(_seeds(seeds), out, seconds=seconds, disturb=disturb)


@app.command()
def dataset(
    bags: Annotated[list[Path], typer.Argument(help='Recordings.')],
    out: Annotated[Path, typer.Option(help='Dataset to make, or to add to.')],
    recipe: Annotated[
        Path | None, typer.Option(help='YAML; without it the first bag decides what is taken.')
    ] = None,
    jobs: Jobs = None,
    ray: Annotated[
        str | None, typer.Option(help='Address of a Ray cluster that does the work.')
    ] = None,
) -> None:
    """Decode recordings once, for any number of trainings; resumes after an interruption."""
    from liquid_control.learn.dataset import add_bags, describe_dataset, is_dataset

    if recipe is not None:
        from liquid_control.learn.recipe import Recipe

        signals = Recipe.load(recipe).signals
    else:
        signals = _signals([out] if is_dataset(out) else bags)
    console = Console(stderr=True)
    outcomes = add_bags(bags, signals, out, console, jobs=jobs or _cores(), ray=ray)
    Console(soft_wrap=True).print(describe_dataset(out), highlight=False)
    reasons = [outcome.reason for outcome in outcomes if outcome.reason]
    for reason in reasons:
        print(f'liquid-control: {reason}', file=sys.stderr)
    if reasons:
        raise typer.Exit(1)


@app.command()
def train(
    bags: Annotated[list[Path], typer.Argument(help='Recordings or datasets to learn from.')],
    out: Annotated[Path, typer.Option(help='Policy bundle to write, e.g. models/my_robot.')],
    recipe: Annotated[
        Path | None, typer.Option(help='YAML; without it the first bag decides.')
    ] = None,
    cell: Annotated[str | None, typer.Option(help='cfc, ltc or cfc-dense.')] = None,
    neurons: Annotated[int | None, typer.Option(help='Of the liquid core.', min=4)] = None,
    epochs: Annotated[int | None, typer.Option(help='At most.', min=1)] = None,
    seed: Annotated[int | None, typer.Option(help='Same seed, same weights.', min=0)] = None,
    start_frame: Annotated[
        int | None, typer.Option(help='First frame to learn from, in every bag.', min=0)
    ] = None,
    end_frame: Annotated[int | None, typer.Option(help='First frame left out.', min=1)] = None,
    warm_start: Annotated[
        str | None, typer.Option('--from', help='Bundle whose weights to start from.')
    ] = None,
    resume: Annotated[bool, typer.Option(help='Go on with an interrupted training.')] = False,
    precision: Annotated[
        str, typer.Option(help='Of the encoder: float32, float16 or int8.')
    ] = 'float32',
    jobs: Jobs = None,
) -> None:
    """Learn a policy from recordings and write its bundle.

    On several GPUs: torchrun --nproc-per-node 4 -m liquid_control.cli train ...
    """
    from liquid_control.learn.recipe import Recipe
    from liquid_control.learn.train import train as train_policy
    from liquid_control.runtime.bundle import find_bundle, shipped_models

    chosen = Recipe(signals=_signals(bags)) if recipe is None else Recipe.load(recipe)
    start = find_bundle(warm_start, shipped_models()) if warm_start is not None else None
    train_policy(
        bags,
        chosen.changed(
            cell=cell,
            neurons=neurons,
            epochs=epochs,
            seed=seed,
            start_frame=start_frame,
            end_frame=end_frame,
        ),
        out,
        command=_as_typed(bags),
        warm_start=start,
        resume=resume,
        precision=precision,
        jobs=jobs or _cores(),
    )


@app.command()
def improve(
    out: Annotated[Path, typer.Option(help='Policy bundle to write, where it is better.')],
    warm_start: Annotated[str, typer.Option('--from', help='Policy bundle to improve.')],
    bags: Annotated[
        list[Path] | None, typer.Argument(help='Recordings to learn from besides.')
    ] = None,
    rounds: Annotated[
        int, typer.Option(help='In the simulator; 0: learn from the recordings alone.', min=0)
    ] = 0,
    drives: Annotated[int, typer.Option(help='In the simulator, in every round.')] = 6,
    seconds: Annotated[float, typer.Option(help='Simulated duration of each drive, s.')] = 20.0,
    judge_seeds: Annotated[
        str, typer.Option(help='Tracks to judge on, never driven for data.')
    ] = '201-210',
    laps: Annotated[int, typer.Option(help='On each of those tracks.')] = 1,
    recipe: Annotated[
        Path | None, typer.Option(help='YAML; without it as the policy, with defaults.')
    ] = None,
    epochs: Annotated[int | None, typer.Option(help='Of a round, at most.', min=1)] = None,
) -> None:
    """Make a policy better: drive, let the expert answer, retrain, judge, keep what is better.

    With --rounds in the simulator; without, from recordings of a robot that people corrected.
    Resumes after an interruption.
    """
    from liquid_control.evaluate.improve_report import rounds_table, write_improve_report
    from liquid_control.learn.guess import recipe_of
    from liquid_control.learn.improve import RUNS
    from liquid_control.learn.improve import improve as improve_policy
    from liquid_control.learn.practice import Practice, RecordedPractice, SimulatedPractice
    from liquid_control.learn.recipe import Recipe
    from liquid_control.runtime.bundle import find_bundle, load_bundle, shipped_models

    start, given = find_bundle(warm_start, shipped_models()), bags or []
    chosen = recipe_of(load_bundle(start).contract) if recipe is None else Recipe.load(recipe)
    chosen = chosen.changed(epochs=epochs)
    console = Console(stderr=True)
    practice: Practice
    if rounds:
        practice = SimulatedPractice(
            drives=drives,
            seconds=seconds,
            judge_seeds=tuple(_seeds(judge_seeds, '--judge-seeds')),
            laps=laps,
            console=console,
        )
    else:
        practice = RecordedPractice(given, start, chosen, console=console)

    def show(folder: Path) -> None:
        write_improve_report(folder / 'improve.json', folder / 'report.html')

    improve_policy(
        start,
        out,
        chosen,
        practice,
        rounds=rounds or 1,
        bags=given if rounds else [],
        command=_as_typed(given),
        on_round=show,
        console=console,
    )
    folder = RUNS / out.name
    Console().print(rounds_table(folder / 'improve.json'))
    Console(soft_wrap=True).print(f'report: {folder}/report.html', highlight=False)


@app.command()
def sign(
    policy: Bundle,
    key: Annotated[Path, typer.Option(help='Private key, PEM.')],
    new_key: Annotated[bool, typer.Option('--new-key', help='Create the key first.')] = False,
) -> None:
    """Sign a policy bundle, so that robots with `trusted_keys` accept it."""
    from liquid_control.runtime.bundle import find_bundle, shipped_models, sign_bundle
    from liquid_control.runtime.signing import create_key

    console, path = Console(soft_wrap=True), find_bundle(policy, shipped_models())
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
    from liquid_control.runtime.bundle import find_bundle, load_bundle, shipped_models

    bundle = load_bundle(find_bundle(policy, shipped_models()), trusted_keys=key)
    Console(soft_wrap=True).print(f'{bundle.path}: signed and sound, digest {bundle.digest}')


def _as_typed(bags: list[Path]) -> str:
    """This command line; a folder's bags, when all are named, as the pattern that stood there."""
    words = [shlex.quote(word) for word in ['liquid-control', *sys.argv[1:]]]
    for folder in {bag.parent for bag in bags}:
        named = [shlex.quote(str(bag)) for bag in bags if bag.parent == folder]
        if len(named) > 1 and len(named) == len(list(folder.iterdir())):
            words = [word for word in words if word not in named[1:]]
            words[words.index(named[0])] = f'{shlex.quote(str(folder))}/*'
    return ' '.join(words)


@app.command()
def build_engine(
    policy: Bundle,
    provider: Annotated[str, typer.Option(help='Only tensorrt builds ahead.')] = 'tensorrt',
    fp16: Annotated[bool, typer.Option('--fp16', help='Allow half precision.')] = False,
    device_id: Annotated[int, typer.Option(help='CUDA device number.')] = 0,
    engine_cache: Annotated[str, typer.Option(help='As the parameter of the node.')] = '',
) -> None:
    """Build a policy's TensorRT engines for this machine, so that no start waits for them."""
    from liquid_control.runtime.bundle import find_bundle, load_bundle, shipped_models
    from liquid_control.runtime.engine_build import build_engines
    from liquid_control.runtime.errors import ConfigError
    from liquid_control.runtime.providers import ProviderOptions

    if provider != 'tensorrt':
        raise ConfigError(f'--provider must be tensorrt, found {provider}: others build nothing')
    console = Console(soft_wrap=True)
    options = ProviderOptions(device_id=device_id, fp16=fp16, engine_cache=engine_cache)
    bundle = load_bundle(find_bundle(policy, shipped_models()))
    for directory in build_engines(bundle, options, console.print):
        console.print(f'ready: {directory}')


@bag_verbs.command('repair')
def bag_repair(
    bags: Annotated[list[Path], typer.Argument(help='Directories of recordings.')],
) -> None:
    """Finish the recordings of a killed recorder, and prove it by reading them back."""
    from liquid_control.bags.repair import repair

    console = Console(soft_wrap=True)
    for bag in bags:
        report = repair(bag)
        done = f'repaired {", ".join(report.repaired_files)}' if report.repaired_files else 'whole'
        messages = sum(report.message_counts.values())
        console.print(
            f'{bag}: {done}; {messages} messages on {len(report.message_counts)} topics '
            f'read back, {report.lost_bytes / 1e6:.1f} MB lost'
        )


def _policy(name: str) -> Any:
    from liquid_control.runtime.bundle import find_bundle, shipped_models
    from liquid_control.runtime.policy import Policy

    return Policy.load(find_bundle(name, shipped_models()))


def _signals(sources: list[Path]) -> Any:
    """What to take from bags: as a dataset among them says, or else the first bag."""
    from liquid_control.learn.dataset import dataset_signals, is_dataset
    from liquid_control.learn.guess import guess_signals

    for path in filter(is_dataset, sources):
        return dataset_signals(path)
    return guess_signals(sources)


def _cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


def _seeds(text: str, option: str = '--seeds') -> list[int]:
    """'0-3,7' -> [0, 1, 2, 3, 7]."""
    from liquid_control.runtime.errors import ConfigError

    seeds: list[int] = []
    for part in text.split(','):
        first, _, last = part.partition('-')
        try:
            seeds += range(int(first), int(last or first) + 1)
        except ValueError as error:
            raise ConfigError(f'{option} must be like 0-59 or 3,5,8, found {text!r}') from error
    return seeds


def _writable(path: Path) -> Path:
    """The path with its directory made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def main() -> None:
    """Run the command line."""
    app()


if __name__ == '__main__':
    main()
