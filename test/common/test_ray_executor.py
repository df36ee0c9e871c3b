# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""A Ray cluster does the same work, and is told of where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console
from support import recordings as rec
from support.stripe_drives import SIGNALS, write_drive
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.errors import ConfigError
from liquid_control.common.jobs import open_pool
from liquid_control.common.packages import MissingPackageError
from liquid_control.common.ray_executor import RayExecutor
from liquid_control.learn.data import dataset

CONSOLE = Console(quiet=True)


@pytest.fixture(scope='module')
def cluster() -> Iterator[str]:
    pytest.importorskip('ray', reason="pip install '.[ray]'")
    from ray.cluster_utils import Cluster

    node = {'num_cpus': 1, 'object_store_memory': 100_000_000, 'include_dashboard': False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('RAY_USAGE_STATS_ENABLED', '0')
        started = Cluster(initialize_head=True, head_node_args=node)
        yield started.address
        started.shutdown()


def test_what_a_task_raises_is_raised_here(cluster: str) -> None:
    with RayExecutor(cluster) as executor:
        assert executor.submit(int, '7').result() == 7
        with pytest.raises(ValueError, match='invalid literal') as raised:
            executor.submit(int, 'seven').result()
    assert type(raised.value) is ValueError


def test_a_dataset_is_made_of_the_same_episodes(cluster: str, tmp_path: Path) -> None:
    bags = [write_drive(tmp_path / f'{i}', seconds=1.0, phase=i) for i in range(2)]
    standing = rec.write_bag(tmp_path / 'no_camera', iter([rec.imu_entry(rec.START_NS)]))
    made = tmp_path / 'dataset'
    names = [str(path) for path in (*bags, standing)]
    result = CliRunner().invoke(app, ['dataset', *names, '--out', str(made), '--ray', cluster])
    assert result.exit_code == 1, result.stderr
    assert 'no_camera' in result.stderr
    alone = dataset.build(bags, dataset.dataset_signals(made), tmp_path / 'store', CONSOLE)
    images = {episode.digest: episode.inputs['image'].pixels for episode in alone}
    assert len(images) == len(dataset.open_dataset(made)) == 2
    for episode in dataset.open_dataset(made):
        assert (episode.inputs['image'].pixels == images[episode.digest]).all()


def test_a_study_measures_the_same(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ['evaluate', 'bounds', 'track_cfc', '--quick', '--out']
    monkeypatch.chdir(tmp_path)
    found = []
    for name, options in (('there', ['--ray', cluster]), ('here', ['--jobs', '1'])):
        result = CliRunner().invoke(app, [*words, name, *options])
        assert result.exit_code == 0, result.output
        found.append(Path(name, 'bounds.csv').read_text())
    assert found[0] == found[1]


def test_without_a_cluster_the_address_is_named(tmp_path: Path) -> None:
    bag = write_drive(tmp_path / 'bag', seconds=1.0)
    with pytest.raises(ConfigError, match=r'no Ray cluster answers at 127\.0\.0\.1:1'):
        dataset.add_bags([bag], SIGNALS, tmp_path / 'dataset', CONSOLE, ray='127.0.0.1:1')


def test_without_ray_what_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    with (
        pytest.raises(MissingPackageError, match=r'ray is not installed.*\.\[ray\]'),
        open_pool(1, 'auto'),
    ):
        pass
