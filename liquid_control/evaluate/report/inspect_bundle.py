# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A policy bundle shown to a person: contract, provenance, metrics."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from liquid_control.common.plain_text import printable
from liquid_control.contract.bundle import Bundle
from liquid_control.contract.contract import Contract


def print_bundle(bundle: Bundle, console: Console) -> None:
    """Print everything a bundle says of itself."""
    contract = bundle.contract
    title = Text(printable(f'{contract.name}  ({bundle.path})'))
    table = Table(title=title, title_justify='left', show_header=False)
    table.add_column('', style='bold')
    table.add_column('', overflow='fold')
    for name, text in (*_contract_rows(contract), *_provenance_rows(contract.provenance)):
        table.add_row(Text(printable(name)), Text(printable(text)))
    size = len(bundle.core) + sum(len(graph) for graph in bundle.encoders.values())
    table.add_row('graphs', f'{size / 1e6:.2f} MB, opset {contract.opset}')
    table.add_row('digest', bundle.digest)
    console.print(table)


def _contract_rows(contract: Contract) -> list[tuple[str, str]]:
    network, (shortest, longest) = contract.network, contract.elapsed_range
    several = f'mean of {network.members} networks, ' if network.members > 1 else ''
    rows = [
        (
            'network',
            f'{network.cell}{f", {network.solver}" if network.solver else ""}: '
            f'{several}{network.neurons} neurons, {network.synapses} synapses, '
            f'{network.parameters} parameters, state {network.state_size}',
        ),
        (
            'control rate',
            f'{contract.control_rate:g} Hz; steps of {shortest:g} to {longest:g} s',
        ),
    ]
    for name, spec in contract.inputs.items():
        topics = ', '.join(source.topic for source in spec.sources(name))
        what = [spec.kind, spec.describe(), f'{spec.rate:g} Hz', f'at most {spec.max_age:g} s old']
        if spec.encoder:
            what.append(f'{spec.core_width} features')
        rows.append((f'input {name}', f'{"; ".join(what)} (topic {topics})'))
    for command in contract.commands:
        rows.append(
            (
                'command',
                f'{command.name}, {command.min:g} to {command.max:g}'
                f'{"" if command.unit == "1" else " " + command.unit}',
            )
        )
    return rows


def _provenance_rows(provenance: Any, name: str = '') -> list[tuple[str, str]]:
    """Nested mappings as dotted names."""
    if isinstance(provenance, dict):
        return [
            row
            for key, value in provenance.items()
            for row in _provenance_rows(value, f'{name}.{key}' if name else str(key))
        ]
    if isinstance(provenance, list) and all(isinstance(item, dict) for item in provenance):
        # One line each, such as the bags learnt from.
        lines = (', '.join(f'{k} {v}' for k, v in item.items()) for item in provenance)
        provenance = '\n'.join(lines)
    elif isinstance(provenance, list):
        provenance = ', '.join(str(value) for value in provenance)
    elif isinstance(provenance, float):
        provenance = f'{provenance:.6g}'
    return [(name, str(provenance))]
