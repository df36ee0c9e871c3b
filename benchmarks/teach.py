# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A lesson from beginning to end, with a script for a hand: how long until the new policy drives.

The script holds keys at the page's own socket, as a person's browser does; everything else is
`liquid-control teach` itself. Printed and kept in out/bench/teach.json: seconds from the last lap
by hand until the policy was ready, and how its laps went beside those that it was taught.

    python benchmarks/teach.py
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from script import run_script
from teach_hand import Hand, Keyboard

from liquid_control.common.files import make_directory
from liquid_control.nodes.common.dds import use_default_profile

MAX_SPEED = 2.5  # m/s, of the simulated car
TEACH = (sys.executable, '-m', 'liquid_control.cli', 'teach')
FREE_DOMAIN = (
    'from liquid_control.evaluate.closed_loop.domains import claim_domain; print(claim_domain())'
)


def main() -> None:
    """Give the lesson and tell how it went."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seed', type=int, default=104)
    parser.add_argument('--laps', type=int, default=3)
    parser.add_argument('--port', type=int, default=18085)
    parser.add_argument('--top-speed', type=float, default=0.8, help='of the hand, m/s')
    parser.add_argument('--pace', type=float, default=1.0)
    parser.add_argument('--rounds', type=int, default=3, help='trainings at most')
    parser.add_argument('--out', default='out/bench/teach/{stamp}')
    options, further = parser.parse_known_args()
    out = make_directory(options.out).resolve()
    # The lesson holds the domain; here it is only looked up.
    domain = subprocess.check_output([sys.executable, '-c', FREE_DOMAIN], text=True).strip()
    os.environ |= {'ROS_DOMAIN_ID': domain, 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
    use_default_profile()
    settings = {
        key: getattr(options, key) for key in ('seed', 'laps', 'port', 'top_speed', 'pace')
    }
    settings['out'] = out
    arguments = [f'--{key.replace("_", "-")}={value}' for key, value in settings.items()]
    # Only what is interrupted on purpose ends early: Ctrl-C reaches this script.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lesson = subprocess.Popen([*TEACH, *arguments, *further], start_new_session=True)

    def over(asked: str) -> bool:
        enough = 'by hand' in asked and failures(out) >= options.rounds
        return enough or lesson.poll() is not None

    try:
        keyboard = Keyboard(options.seed, options.top_speed / MAX_SPEED)
        with contextlib.closing(Hand(options.port, keyboard)) as hand:
            hand.drive(over)
    finally:
        if lesson.poll() is None:
            lesson.send_signal(signal.SIGINT)
        status = lesson.wait(60)
    if not (out / 'summary.json').exists():
        sys.exit(f'the lesson ended before a policy drove, with exit status {status}')
    summary = json.loads((out / 'summary.json').read_text())
    kept = Path('out/bench/teach.json')
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(summary, indent=2))
    told = ('waits', 'left_out', 'taught', 'you', 'policy_drive')
    print(json.dumps({key: summary[key] for key in told}))
    sys.exit(status)


def failures(out: Path) -> int:
    """Trainings whose policy did not drive its laps."""
    progress = json.loads((out / 'lesson.json').read_text())
    return len(progress['waits']) if progress['reason'] else 0


if __name__ == '__main__':
    run_script(main)
