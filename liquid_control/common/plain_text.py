# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""Names and texts of others, as they may be shown to a person."""


def printable(words: str) -> str:
    """Without what a terminal would obey; lines stay lines."""
    return ''.join(
        letter if letter.isprintable() or letter == '\n' else '\N{REPLACEMENT CHARACTER}'
        for letter in words
    )
