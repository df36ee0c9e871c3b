# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""YAML from outside as plain data: texts, numbers, lists and mappings, and nothing that hurts.

PyYAML reads more than people write: references by which a short text describes a huge document,
numbers in base 60 and of any length (Python then refuses to print them), texts that no terminal
and no ROS message can hold. Whatever is not plain is refused with the line.
"""

from __future__ import annotations

from typing import Any

import yaml

from liquid_control.common.errors import LiquidControlError

# The longest number that people write: a 64-bit integer, a double with all its digits.
MAX_NUMBER_LENGTH = 30
MAX_INTEGER = 2**63


def read_yaml(text: str | bytes, *, where: str, error: type[LiquidControlError]) -> Any:
    """The document in a text.

    Args:
        text: where it is bytes, in UTF-8.
        where: how messages name the document, e.g. 'policy.yaml'.
        error: what to raise for anything that is not plain data.
    """
    try:
        document = yaml.load(text.decode() if isinstance(text, bytes) else text, _Loader)
        _check_plain(document)
    except Exception as problem:  # PyYAML raises unrelated types for scalars it cannot build
        raise error(f'{where} is not valid YAML: {_reason(problem)}') from problem
    return document


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(
                problem='aliases are not accepted', problem_mark=self.get_mark()
            )
        return super().compose_node(parent, index)


def _number(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """A number as people write it."""
    if len(node.value) > MAX_NUMBER_LENGTH or ':' in node.value:
        raise yaml.MarkedYAMLError(
            problem=f'no number of at most {MAX_NUMBER_LENGTH} characters in base 10 or 16',
            problem_mark=node.start_mark,
        )
    integer = node.tag.endswith(':int')
    return loader.construct_yaml_int(node) if integer else loader.construct_yaml_float(node)


for _tag in ('int', 'float'):
    _Loader.add_constructor(f'tag:yaml.org,2002:{_tag}', _number)


def _check_plain(value: Any) -> None:
    """Refuse what cannot be printed, sent as a ROS message or written as JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key)
            _check_plain(item)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item)
    elif isinstance(value, str):
        value.encode()
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError('a number is too large')
    elif not isinstance(value, float | None):
        raise yaml.MarkedYAMLError(problem=f'{type(value).__name__} is no plain data')


def _reason(error: Exception) -> str:
    """What is wrong and where, without repeating the text: it may be any file at all."""
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark
        return f'{error.problem}' + (f', line {mark.line + 1}' if mark is not None else '')
    if isinstance(error, RecursionError):
        return 'nested too deeply'
    if isinstance(error, UnicodeDecodeError):
        return 'it is no UTF-8 text'
    if isinstance(error, UnicodeEncodeError):
        return 'a text holds half a character (a surrogate), which nothing can print'
    return f'a value cannot be read ({type(error).__name__})'
