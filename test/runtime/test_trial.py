# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A bundle is tried where it can be killed: endless, huge, swapped and hostile ones."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import pytest
from support.bundles import make_bundle
from support.hostile_bundles import endless, huge, with_load

from liquid_control.common.errors import BundleError
from liquid_control.runtime.inference.trial import Limits, Trials


def test_what_passed_is_loaded_with_the_time_it_took(tmp_path: Path) -> None:
    bundle, report = Trials().load(make_bundle(tmp_path / 'bundle'))
    assert bundle.digest == report.digest
    assert 0 < report.core < 0.1
    assert report.encoders['image'] > 0


def test_a_graph_that_does_not_end_is_refused_and_leaves_no_process(tmp_path: Path) -> None:
    path = with_load(tmp_path / 'endless', endless)
    started = time.monotonic()
    with pytest.raises(BundleError, match=r'not loaded and tried within 4 s.*load_timeout'):
        Trials().load(path, limits=Limits(seconds=4))
    assert time.monotonic() - started < 10
    assert not any(str(path) in line for line in command_lines())


def test_a_graph_that_asks_for_gigabytes_is_refused(tmp_path: Path) -> None:
    path = with_load(tmp_path / 'huge', huge)
    with pytest.raises(BundleError, match=r'more than 1024 MB.*load_memory') as refusal:
        Trials().load(path)
    assert '\n' not in str(refusal.value)


def test_any_refusal_of_the_trial_is_passed_on_in_one_line(tmp_path: Path) -> None:
    for damage in ('hash', 'not onnx', 'version', 'signature'):
        path = make_bundle(tmp_path / damage.replace(' ', '_'), break_=damage)
        with pytest.raises(BundleError, match=str(path)):
            Trials().load(path)


def test_what_lies_in_the_working_directory_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle(tmp_path / 'bundle')
    (bundle / 'numpy.py').write_text('import os\nos._exit(7)\n')
    monkeypatch.chdir(bundle)
    Trials().load(Path('.'))


def test_without_room_for_a_trial_a_bundle_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'gone'))
    with pytest.raises(BundleError, match=r'bundle cannot be tried: .*gone.*No such file'):
        Trials().load(make_bundle(tmp_path / 'bundle'))


def test_a_trial_is_nice_to_the_control_thread_and_can_be_cancelled(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    trials, seen = Trials(), []

    def watch() -> None:
        """Until it has set its own limits, at the latest when it has ended."""
        while not seen or seen[-1][0] == 0:
            child = trials._child
            if child is not None:
                nice = os.getpriority(os.PRIO_PROCESS, child.pid)
                seen.append((nice, os.sched_getaffinity(child.pid)))
            time.sleep(0.01)
        trials.cancel()

    watcher = threading.Thread(target=watch)
    watcher.start()
    path = with_load(tmp_path / 'endless', endless)
    with pytest.raises(BundleError, match='cancelled'):
        trials.load(path, limits=Limits(seconds=60), keep_off=cores[:1])
    watcher.join()
    nice, allowed = seen[-1]
    assert nice > 0
    assert len(cores) == 1 or cores[0] not in allowed
    with pytest.raises(BundleError, match='cancelled'):
        trials.load(make_bundle(tmp_path / 'bundle'))


def test_a_bundle_swapped_after_its_trial_is_not_loaded(tmp_path: Path) -> None:
    """The name leads to a good bundle while it is tried, to an endless one when it is loaded."""
    path = make_bundle(tmp_path / 'bundle')
    other = with_load(tmp_path / 'other', endless)

    class Swapping(Trials):
        def _try(self, *arguments: object) -> object:  # type: ignore[override]
            report = super()._try(*arguments)  # type: ignore[arg-type]
            shutil.rmtree(path)
            other.rename(path)
            return report

    with pytest.raises(BundleError, match='was changed while it was tried'):
        Swapping().load(path)


def test_what_passed_once_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Trials()
    path = make_bundle(tmp_path / 'bundle')
    trials.load(path)
    monkeypatch.setattr(Trials, '_try', None)
    assert trials.load(path)[0].path == path


def command_lines() -> list[str]:
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            found.append((folder / 'cmdline').read_bytes().decode(errors='replace'))
        except OSError:
            continue
    return found
