# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines: each in a place of its own, built once, and never while driving."""

import json
from dataclasses import replace
from pathlib import Path

import onnxruntime as ort
import pytest
from support.bundles import make_bundle
from typer.testing import CliRunner

from liquid_control.cli.main import app
from liquid_control.common.errors import ProviderError
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.runtime.inference import backend as backend_module
from liquid_control.runtime.inference import tensorrt
from liquid_control.runtime.inference.backend import Backend
from liquid_control.runtime.inference.providers import (
    CPU,
    MANIFEST,
    TENSORRT,
    EngineKey,
    ProviderOptions,
)
from liquid_control.runtime.inference.session import BundleGraph, graphs_of

KEY = EngineKey('a' * 64, 'Orin', '8.7', '100300', '1.23.0', False)


@pytest.mark.parametrize(
    'change',
    [
        {'graph': 'b' * 64},
        {'device': 'Thor'},
        {'capability': '11.0'},
        {'tensorrt': '100400'},
        {'onnxruntime': '1.24.0'},
        {'fp16': True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_engine_has_a_directory_of_its_own(tmp_path: Path, change: dict[str, object]) -> None:
    assert replace(KEY).directory(tmp_path) == KEY.directory(tmp_path)
    assert replace(KEY, **change).directory(tmp_path) != KEY.directory(tmp_path)


def test_policies_that_differ_in_weights_alone_share_no_engine(
    bundle: Bundle, tmp_path: Path
) -> None:
    other = load_bundle(make_bundle(tmp_path / 'bundle', speed=True, seed=1))
    keys = [EngineKey.of(each.core, ProviderOptions()) for each in (bundle, other)]
    assert keys[0].directory(tmp_path) != keys[1].directory(tmp_path)


def test_cache_is_where_caches_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('XDG_CACHE_HOME', '/somewhere')
    assert ProviderOptions().cache == Path('/somewhere/liquid_control/engines')
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert ProviderOptions().cache == Path.home() / '.cache/liquid_control/engines'
    assert ProviderOptions(engine_cache='~/engines').cache == Path.home() / 'engines'


def test_engine_that_is_there_is_not_built_again(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ProviderOptions(engine_cache=str(tmp_path))
    graph = graphs_of(bundle)['core.onnx']
    built: list[Path] = []

    def build(
        path: Path, graph: BundleGraph, options: ProviderOptions, partial: Path, on_status: object
    ):
        (partial / 'a.engine').write_bytes(b'engine')
        built.append(partial)

    monkeypatch.setattr(tensorrt, '_build', build)
    said: list[str] = []
    assert tensorrt.find_engine(graph, options) is None
    directory = tensorrt.build_engine(bundle.path, graph, options, said.append)
    assert tensorrt.find_engine(graph, options) == directory
    assert (directory / 'a.engine').read_bytes() == b'engine'
    assert json.loads((directory / MANIFEST).read_text())['onnxruntime'] == ort.__version__
    assert list(tmp_path.iterdir()) == [directory], 'nothing half done is left'
    (directory / MANIFEST).unlink()
    assert tensorrt.find_engine(graph, options) is None, 'it was never finished'
    assert tensorrt.build_engine(bundle.path, graph, options, said.append) == directory
    monkeypatch.setattr(tensorrt.ort, 'get_available_providers', lambda: [TENSORRT])
    assert directory in tensorrt.build_engines(bundle, options, said.append)
    assert len(built) == 3, 'the encoder, and not the core again'
    assert any('building the TensorRT engine' in text for text in said)


@pytest.mark.filterwarnings('ignore:Specified provider')
def test_while_driving_an_engine_is_not_built_but_asked_for(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    available = [TENSORRT, *ort.get_available_providers()]
    monkeypatch.setattr(backend_module.ort, 'get_available_providers', lambda: available)
    monkeypatch.setattr(backend_module, 'build_engine', None)
    options = ProviderOptions(engine_cache=str(tmp_path))
    backend = Backend(bundle, providers=('tensorrt', 'cpu'), options=options, may_build=False)
    assert backend.provider == CPU
    assert f'build-engine {bundle.path}' in backend.warning
    with pytest.raises(ProviderError, match='build-engine'):
        Backend(
            bundle,
            providers=('tensorrt',),
            provider_required=True,
            options=options,
            may_build=False,
        )


def test_building_says_how_long_it_takes_and_why_it_failed(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real child, on a machine whose ONNX Runtime has no TensorRT."""
    if TENSORRT in ort.get_available_providers():
        pytest.skip('this ONNX Runtime was built for TensorRT')
    monkeypatch.setattr(tensorrt, 'PROGRESS_INTERVAL', 0.02)
    said: list[str] = []
    with pytest.raises(ProviderError, match='could not load TensorRT'):
        tensorrt.build_engine(
            bundle.path,
            graphs_of(bundle)['core.onnx'],
            ProviderOptions(engine_cache=str(tmp_path)),
            said.append,
        )
    assert sum(text.endswith(' s') for text in said) > 1
    assert list(tmp_path.iterdir()) == []


def test_build_engine_from_the_command_line_says_what_is_missing(bundle: Bundle) -> None:
    if TENSORRT in ort.get_available_providers():
        pytest.skip('this ONNX Runtime was built for TensorRT')
    result = CliRunner().invoke(app, ['build-engine', str(bundle.path)])
    assert result.exit_code == 1
    assert 'not for TensorRT' in result.stderr
    result = CliRunner().invoke(app, ['build-engine', str(bundle.path), '--provider', 'cuda'])
    assert '--provider must be tensorrt' in result.stderr
