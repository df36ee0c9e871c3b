# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML page: title, verdict, sections with tables and images inside it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure

from liquid_control.evaluate.report.figures import DPI

LONG = 40
"""Characters of a cell that is read as a sentence: it may be broken into lines."""

_STYLE = """
:root { color-scheme: light; --ink: #1f2430; --soft: #667085; --line: #e3e6ea; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { margin: 0 0 4px; font-size: 28px; }
h2 { margin: 0 0 12px; font-size: 18px; }
p { margin: 0 0 12px; color: var(--soft); }
section { background: white; border: 1px solid var(--line); border-radius: 10px;
  padding: 20px 24px; margin-top: 20px; }
.verdict { display: inline-block; padding: 3px 12px; border-radius: 999px; font-weight: 600;
  color: white; background: #1a7f4b; }
.verdict.failed { background: #c1121f; }
table { border-collapse: collapse; width: 100%; }
th { padding: 6px 12px 6px 0; text-align: left; color: var(--soft); font-weight: 500;
  border-bottom: 1px solid var(--line); }
td { padding: 6px 12px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { color: var(--soft); white-space: nowrap; width: 1%; padding-right: 32px; }
td:last-child { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin-bottom: 12px; }
.wide td, .wide th { font-variant-numeric: tabular-nums; overflow-wrap: normal; }
.wide td:not(.words) { white-space: nowrap; }
.wide td.words { min-width: 16em; }
.wide td:first-child, .wide th:first-child { position: sticky; left: 0; background: white; }
@media (max-width: 600px) {
  main { padding: 20px 8px 40px; }
  section { padding: 14px 12px; }
  .verdict { border-radius: 10px; }
  td:first-child { white-space: normal; padding-right: 12px; }
}
tr:last-child td { border-bottom: none; }
img { max-width: 100%; height: auto; display: block; }
.frames { display: grid; grid-template-columns: repeat(3, 1fr); gap: 12px; }
figure { margin: 0; }
figure img { width: 100%; border-radius: 6px; image-rendering: pixelated; }
figcaption { color: var(--soft); font-size: 13px; margin-top: 4px; }
"""


def document(title: str, verdict: str, *, failed: bool, sections: Iterable[str]) -> str:
    """The whole page; `failed` colours the verdict."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body><main>'
        f'<h1>{html.escape(title)}</h1>'
        f'<span class="verdict{" failed" if failed else ""}">{html.escape(verdict)}</span>'
        f'{"".join(sections)}</main></body></html>\n'
    )


def section(title: str, content: str) -> str:
    """Content is HTML."""
    return f'<section><h2>{html.escape(title)}</h2>{content}</section>'


def table(lines: Iterable[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Rows of text, with a row of headings where there are any."""
    rows = [_row('th', header)] if header else []
    shown = f'<table>{"".join([*rows, *(_row("td", line) for line in lines)])}</table>'
    # Many columns are wider than a phone, or than any page: they scroll, and the page does not.
    return f'<div class="wide">{shown}</div>' if len(header) > 2 else shown


def _row(tag: str, cells: Iterable[str]) -> str:
    return f'<tr>{"".join(_cell(tag, cell) for cell in cells)}</tr>'


def _cell(tag: str, cell: str) -> str:
    words = ' class="words"' if tag == 'td' and len(cell) > LONG else ''
    return f'<{tag}{words}>{html.escape(cell)}</{tag}>'


def paragraph(text: str) -> str:
    """A paragraph of plain text; nothing where there is none."""
    return f'<p>{html.escape(text)}</p>' if text else ''


def figure(drawn: Figure) -> str:
    """A figure as an image inside the page."""
    buffer = io.BytesIO()
    drawn.savefig(buffer, dpi=DPI, format='png')
    return image(buffer.getvalue())


def image(png: bytes) -> str:
    """An image inside the page."""
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
