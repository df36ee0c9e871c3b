"""Recipes as people write them: a file and options that say only what is to be different.

Both are read as strictly as a policy's contract: an unknown or wrongly typed field is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.common.plain_yaml import read_yaml
from liquid_control.common.records import read_record
from liquid_control.contract.contract import ImageSpec, SensorSpec
from liquid_control.learn.data.signals import Signals
from liquid_control.learn.train.recipe import Recipe

INPUTS = {'image': ImageSpec, 'imu': SensorSpec, 'speed': SensorSpec}
CAR = [
    {'name': 'steering_angle', 'unit': 'rad', 'min': -1.0, 'max': 1.0},
    {'name': 'speed', 'unit': 'm/s', 'min': 0.0, 'max': 1.0},
]
_DECIMAL = re.compile(r'[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?')


def load_recipe(path: Path) -> Recipe:
    """Read a recipe that says all of its signals itself.

    Raises:
        ConfigError: no such file, or not a recipe; the message names the field.
    """
    return read_record(Recipe, _document(path), where=path.name, error=ConfigError)


def build_recipe(
    signals: Callable[[float | None], Signals],
    *,
    path: Path | None = None,
    changes: Sequence[str] = (),
    start: Recipe | None = None,
) -> Recipe:
    """A recipe from what is known already, a file and options.

    Args:
        signals: as recordings suggest them, for a wheelbase (m) where it is stated; asked only
            where nothing else says them. Signals of the file that stand alone, commands and
            something to see, are taken as they are.
        path: of the file.
        changes: options like 'fit.epochs=3', which have the last word.
        start: of the policy to go on from: it holds where the file is silent.

    Raises:
        ConfigError: the file cannot be read, or there is no such field or value.
    """
    document, where = (_document(path), path.name) if path is not None else ({}, '')
    stated = document.get('signals', {})
    if isinstance(stated, dict) and _stand_alone(stated):
        plain = asdict(start) | {'signals': {}} if start is not None else {}
    elif start is not None:
        plain = asdict(start)
    else:
        _check_what_needs_no_recording(document, where)
        plain = asdict(Recipe(signals=signals(_wheelbase(stated, changes))))
    recipe = read_record(Recipe, _merge(plain, document), where=where, error=ConfigError)
    for change in changes:
        plain = asdict(recipe)
        _set(plain, change)
        recipe = read_record(Recipe, plain, where=f'--set {change}', error=ConfigError)
    return recipe


def _check_what_needs_no_recording(document: dict[str, Any], where: str) -> None:
    """Mistakes show before recordings are looked at."""
    signals = document.get('signals', {})
    commands = signals.get('commands', CAR) if isinstance(signals, dict) else CAR
    known = document | {'signals': {'commands': commands}}
    read_record(Recipe, known, where=where, error=ConfigError)


def _wheelbase(signals: Any, changes: Sequence[str]) -> float | None:
    """What file or options say of it, m."""
    stated = signals.get('wheelbase') if isinstance(signals, dict) else None
    for change in changes:
        if change.startswith('signals.wheelbase='):
            stated = _value(change.partition('=')[2], change)
    return float(stated) if isinstance(stated, int | float) and stated > 0 else None


def _document(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f'recipe {path} cannot be read: {error.strerror}') from error
    document = read_yaml(text, where=f'recipe {path}', error=ConfigError)
    if not isinstance(document, dict):
        raise ConfigError(f'{path.name}: expected a mapping, found {type(document).__name__}')
    return document


def _stand_alone(signals: dict[str, Any]) -> bool:
    """Whether commands and at least one input are there, and no input in parts."""
    given = {name: kind for name, kind in INPUTS.items() if signals.get(name) is not None}
    return bool('commands' in signals and given) and all(
        isinstance(signals[name], dict) and _required(kind) <= set(signals[name])
        for name, kind in given.items()
    )


def _required(kind: Any) -> set[str]:
    return {entry.name for entry in fields(kind) if entry.default is MISSING}


def _merge(below: Any, above: Any) -> Any:
    """Mappings joined field by field; anything else as it stands above."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merge(below.get(key), value) for key, value in above.items()}


def _set(plain: dict[str, Any], change: str) -> None:
    """Put one option into a recipe as plain data."""
    name, equals, text = change.partition('=')
    path = name.strip().split('.')
    known = list(_names(plain))
    if not equals or name.strip() not in known:
        near = get_close_matches(name.strip(), known, n=1, cutoff=0.0)
        hint = 'expected a field and its value, like --set fit.epochs=3'
        raise ConfigError(
            f'--set {change}: ' + (f'no such field; the nearest is {near[0]}' if equals else hint)
        )
    place: Any = plain
    for part in path[:-1]:
        place = place[part] if isinstance(place, dict) else _named(place, part)
    if isinstance(place, dict):
        place[path[-1]] = _value(text.strip(), change)
    else:
        raise ConfigError(f'--set {change}: name one of its fields, like {name}.max')


def _names(plain: Any, prefix: str = '') -> Iterator[str]:
    """Dotted names of everything in a recipe; commands go by their own names."""
    if isinstance(plain, list | tuple) and plain and isinstance(plain[0], dict):
        plain = {entry['name']: entry for entry in plain}
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield f'{prefix}{key}'
            yield from _names(value, f'{prefix}{key}.')


def _named(entries: Any, name: str) -> Any:
    return next(entry for entry in entries if entry['name'] == name)


def _value(text: str, change: str) -> Any:
    if re.fullmatch(r'[-+]?\d+', text):
        return int(text)
    if _DECIMAL.fullmatch(text):  # 1e-3 is a text in YAML
        return float(text)
    return read_yaml(text, where=f'--set {change}', error=ConfigError)
