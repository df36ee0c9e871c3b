# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""The model card: a bundle's README.md, written from its contract and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from liquid_control.contract.contract import Contract

# Entries of the provenance that have a place of their own; any other is listed under "Made with".
_SECTIONS = {
    'datasets': 'Data',
    'metrics': 'Measured',
    'notes': 'Not learnt well',
    'parity': 'Agreement with torch',
    'encoder': 'Encoder precision',
}


def model_card(contract: Contract) -> str:
    """Markdown text.

    The contract's provenance may hold `description` (what the policy is for), `command` (what
    made it), `datasets` (a list of mappings), `metrics`, `parity` and `encoder` (mappings) and
    any other plain data.
    """
    facts = contract.provenance
    parts = [
        f'# {contract.name}',
        str(facts.get('description', '')),
        '## Inputs and commands',
        _table(('input', 'what', 'rate, Hz', 'stops when older than, s'), _inputs(contract)),
        _table(
            ('command', 'unit', 'from', 'to'),
            [(c.name, c.unit, c.min, c.max) for c in contract.commands],
        ),
        '## Network',
        _mapping(
            {
                'cell': contract.network.cell,
                'solver': contract.network.solver,
                'neurons': contract.network.neurons,
                'synapses': contract.network.synapses,
                'parameters': contract.network.parameters,
                'built from': contract.network.config or '',
                'control rate, Hz': contract.control_rate,
                'ONNX opset': contract.opset,
            }
        ),
    ]
    if 'command' in facts:
        parts += ['## How to make it again', f'```sh\n{facts["command"]}\n```']
    for key, title in _SECTIONS.items():
        if key in facts:
            parts += [f'## {title}', _value(facts[key])]
    rest = {
        key: value
        for key, value in facts.items()
        if key not in _SECTIONS and key not in ('description', 'command')
    }
    if rest:
        parts += ['## Made with', _value(rest)]
    parts += ['## Limits', _limits(contract)]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _inputs(contract: Contract) -> list[tuple[Any, ...]]:
    return [
        (name, spec.describe(), spec.rate, spec.max_age) for name, spec in contract.inputs.items()
    ]


def _limits(contract: Contract) -> str:
    shortest, longest = contract.elapsed_range
    lines = [
        f'Checked for {shortest:g} to {longest:g} s between control steps.',
        'Measured on the data named above and on nothing else: another robot, camera mounting, '
        'course or light needs recordings of its own, and a person at the emergency stop.',
        'Commands stay within their ranges whatever the sensors say; that alone is not safety.',
    ]
    if any(spec.encoder == 'image' for spec in contract.inputs.values()):
        lines.insert(
            1,
            'The camera must show the same field of view as in training; only its resolution '
            'may differ.',
        )
    return '\n'.join(f'- {line}' for line in lines)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        if value and all(isinstance(item, Mapping) for item in value.values()):
            return _records({'': key, **item} for key, item in value.items())
        return _mapping(value)
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        return _records(value)
    return _cell(value)


def _records(records: Iterable[Mapping[str, Any]]) -> str:
    records = list(records)
    columns = list(dict.fromkeys(key for record in records for key in record))
    return _table(columns, [[record.get(key, '') for key in columns] for record in records])


def _mapping(values: Mapping[str, Any]) -> str:
    return _table(('', ''), [(key, value) for key, value in values.items() if value != ''])


def _table(header: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    columns = list(header)
    text = ['| ' + ' | '.join(_cell(cell) for cell in line) + ' |' for line in (columns, *rows)]
    text.insert(1, '|' + ' --- |' * len(columns))
    return '\n'.join(text)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'{value:.4g}'
    if isinstance(value, list | tuple):
        return ', '.join(_cell(item) for item in value)
    if isinstance(value, Mapping):
        return ', '.join(f'{key} {_cell(item)}' for key, item in value.items())
    return str(value).replace('|', '\\|')
