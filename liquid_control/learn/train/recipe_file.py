# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Recipes as people write them: a file and options that say only what is to be different.

Both are read as strictly as a policy's contract: an unknown or wrongly typed field is named.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from liquid_control.common.errors import ConfigError
from liquid_control.common.plain_yaml import read_yaml
from liquid_control.common.records import read_record
from liquid_control.contract.inputs import KINDS, InputSpec
from liquid_control.learn.data.signals import Signals, check_spelling, with_inputs
from liquid_control.learn.train.recipe import Recipe

# Stand in for what recordings suggest, where a file is checked before they are looked at.
INPUTS = {'speed': {'kind': 'speed', 'rate': 1.0, 'max_age': 1.0}}
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
    return read_recipe(_document(path), where=path.name)


def read_recipe(document: dict[str, Any], *, where: str) -> Recipe:
    """A recipe from plain data. Raises ConfigError."""
    if 'signals' in document:
        signals = with_inputs(_without_null(document['signals']), f'{where}: signals', ConfigError)
        document = {**document, 'signals': signals}
    return read_record(Recipe, document, where=where, error=ConfigError)


def plain_recipe(recipe: Recipe) -> dict[str, Any]:
    """All of a recipe, as `read_recipe` reads it."""
    return {**asdict(recipe), 'signals': recipe.signals.plain()}


def build_recipe(
    signals: Callable[[float | None, Mapping[str, str] | None, Sequence[str]], Signals],
    *,
    path: Path | None = None,
    changes: Sequence[str] = (),
    start: Recipe | None = None,
) -> Recipe:
    """A recipe from what is known already, a file and options.

    Args:
        signals: as recordings suggest them, for a wheelbase (m) where it is stated, and for inputs
            by name and kind where the file says of all of them what they are, and for commands by
            name where it has them; asked only where nothing else says them. Signals of the file
            that stand alone, commands and something to see, are taken as they are.
        path: of the file.
        changes: options like 'fit.epochs=3', which have the last word.
        start: of the policy to go on from: it holds where the file is silent.

    Raises:
        ConfigError: the file cannot be read, or there is no such field or value.
    """
    document, where = (_document(path), path.name) if path is not None else ({}, '')
    stated = document.get('signals', {})
    if isinstance(stated, dict) and _stand_alone(stated):
        plain = plain_recipe(start) | {'signals': {}} if start is not None else {}
    elif start is not None:
        plain = plain_recipe(start)
    else:
        _check_what_needs_no_recording(document, where)
        found = signals(_wheelbase(stated, changes), _wanted(stated), _commands(stated))
        plain = plain_recipe(Recipe(signals=found))
    recipe = read_recipe(_merge(plain, document), where=where)
    for change in changes:
        plain = plain_recipe(recipe)
        _set(plain, change)
        recipe = read_recipe(plain, where=f'--set {change}')
    return recipe


def _check_what_needs_no_recording(document: dict[str, Any], where: str) -> None:
    """Mistakes show before recordings are looked at."""
    signals = document.get('signals', {})
    check_spelling(signals, where=f'{where}: signals', error=ConfigError)
    commands = signals.get('commands', CAR) if isinstance(signals, dict) else CAR
    known = document | {'signals': {'commands': commands, 'inputs': INPUTS}}
    read_recipe(known, where=where)


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
    inputs = signals.get('inputs')
    if 'commands' not in signals or not isinstance(inputs, dict) or not inputs:
        return False
    return all(
        isinstance(entry, dict) and _required(entry.get('kind')) <= set(entry)
        for entry in inputs.values()
    )


def _required(kind: Any) -> set[str]:
    """Fields that an input of a kind must have; an unknown kind is refused where it is read."""
    spec = KINDS.get(kind) if isinstance(kind, str) else None
    options = fields(spec or InputSpec)
    return {'kind', *(entry.name for entry in options if entry.default is MISSING)}


def _commands(signals: Any) -> list[str]:
    """Names of the commands that are stated, so that no recording is asked what they are."""
    commands = signals.get('commands') if isinstance(signals, dict) else None
    return [str(entry['name']) for entry in commands or ()]


def _wanted(signals: Any) -> dict[str, str] | None:
    """Inputs by name and kind where all of them say their kind."""
    inputs = signals.get('inputs') if isinstance(signals, dict) else None
    if not isinstance(inputs, dict) or not inputs:
        return None
    kinds = {
        str(name): entry.get('kind') if isinstance(entry, dict) else None
        for name, entry in inputs.items()
    }
    known = {name: kind for name, kind in kinds.items() if kind in KINDS}
    return known if len(known) == len(kinds) else None


def _merge(below: Any, above: Any) -> Any:
    """Mappings joined field by field; anything else as it stands above."""
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return below | {key: _merge(below.get(key), value) for key, value in above.items()}


def _without_null(signals: Any) -> Any:
    """Inputs that are null are taken out."""
    if not isinstance(signals, dict) or not isinstance(signals.get('inputs'), dict):
        return signals
    inputs = {name: entry for name, entry in signals['inputs'].items() if entry is not None}
    return {**signals, 'inputs': inputs}


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
