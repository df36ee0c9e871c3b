# Copyright 2026 The liquid_control maintainers
# SPDX-License-Identifier: Apache-2.0
"""GPU providers without a GPU: what is chosen, what is believed, and what memory is used how."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from support.bundles import make_bundle

from liquid_control.common.errors import BundleError, ConfigError, ProviderError
from liquid_control.contract.bundle import Bundle, load_bundle
from liquid_control.runtime.inference import backend as backend_module
from liquid_control.runtime.inference.backend import Backend
from liquid_control.runtime.inference.cuda import Device, find_device, tensorrt_version
from liquid_control.runtime.inference.device import DeviceArray, DeviceSession, read_placement
from liquid_control.runtime.inference.policy import Policy
from liquid_control.runtime.inference.providers import (
    CPU,
    CUDA,
    PROVIDERS,
    TENSORRT,
    ProviderOptions,
    provider_arguments,
    select_providers,
)
from liquid_control.runtime.inference.session import (
    BundleGraph,
    GraphSession,
    graphs_of,
    open_session,
)

# In ONNX Runtime's CPU packages, loaded whenever asked for, and never running a node: the very
# image of a GPU provider that does not work.
IDLE = 'AzureExecutionProvider'


# Choosing


def test_provider_order_is_kept_and_the_cpu_comes_last() -> None:
    everything = [TENSORRT, CUDA, CPU]
    assert select_providers(['cuda', 'tensorrt'], everything) == [CUDA, TENSORRT, CPU]
    assert select_providers(['tensorrt', 'cuda', 'cpu'], everything) == [TENSORRT, CUDA, CPU]
    assert select_providers(['cpu', 'cuda'], everything) == [CPU], 'the CPU leaves nothing over'
    assert select_providers(['tensorrt', 'tensorrt'], [CPU]) == [CPU]


@pytest.mark.parametrize('requested', [['gpu'], [], ['cuda', 'Cpu']])
def test_unknown_provider_is_refused_with_those_known(requested: list[str]) -> None:
    with pytest.raises(ProviderError, match='cpu, cuda, tensorrt'):
        select_providers(requested, [CPU])


def test_options_are_handed_to_onnx_runtime_as_it_reads_them(tmp_path: Path) -> None:
    options = ProviderOptions(device_id=1, fp16=True)
    assert provider_arguments([TENSORRT, CUDA, CPU], options, tmp_path) == [
        (
            'TensorrtExecutionProvider',
            {
                'device_id': '1',
                'trt_fp16_enable': 'True',
                'trt_engine_cache_enable': 'True',
                'trt_engine_cache_path': str(tmp_path),
                'trt_timing_cache_enable': 'True',
            },
        ),
        ('CUDAExecutionProvider', {'device_id': '1'}),
        ('CPUExecutionProvider', {}),
    ]
    assert provider_arguments([CPU], ProviderOptions(), None) == [('CPUExecutionProvider', {})]


def test_negative_device_is_refused() -> None:
    with pytest.raises(ConfigError, match='device_id must be 0 or more, found -1'):
        ProviderOptions(device_id=-1)


# Believing


def pretend(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    """Let 'cuda' stand for a provider that does not work, with this process's memory."""
    available = [provider, *ort.get_available_providers()]
    monkeypatch.setattr(backend_module.ort, 'get_available_providers', lambda: available)
    monkeypatch.setitem(PROVIDERS, 'cuda', provider)
    monkeypatch.setattr(
        backend_module, 'memory_of', lambda name, _: ('cpu', 0) if name == provider else None
    )
    monkeypatch.setattr(
        backend_module, 'provider_arguments', lambda chosen, *_: [(name, {}) for name in chosen]
    )


def test_provider_that_this_build_lacks_is_said_or_refused(bundle: Bundle) -> None:
    if CUDA in ort.get_available_providers():
        pytest.skip('this ONNX Runtime was built for CUDA')
    backend = Backend(bundle, providers=('cuda', 'cpu'))
    assert backend.provider == CPU
    assert 'asked for the provider cuda, running on CPUExecutionProvider' in backend.warning
    assert 'was built for' in backend.warning
    with pytest.raises(ProviderError, match='cuda'):
        Backend(bundle, providers=('cuda',), provider_required=True)
    assert Backend(bundle, providers=('cpu',), provider_required=True).warning == ''


@pytest.mark.filterwarnings('ignore:Specified provider')
def test_provider_whose_libraries_are_missing_is_not_believed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime then makes a session on the CPU and says so on stderr alone."""
    pretend(monkeypatch, 'CUDAExecutionProvider')
    backend = Backend(bundle, providers=('cuda',))
    assert backend.provider == CPU
    assert 'CUDAExecutionProvider: not loaded' in backend.warning
    with pytest.raises(ProviderError, match='not loaded'):
        Backend(bundle, providers=('cuda',), provider_required=True)


@pytest.mark.skipif(IDLE not in ort.get_available_providers(), reason=f'no {IDLE} here')
def test_provider_that_is_listed_but_runs_nothing_is_not_believed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, IDLE)
    session = ort.InferenceSession(bundle.core, providers=[IDLE, CPU])
    assert session.get_providers()[0] == IDLE, 'what everybody asks, and it is not true'
    backend = Backend(bundle, providers=('cuda',))
    assert backend.provider == CPU
    assert f'{IDLE}: runs no node of encoder_image.onnx' in backend.warning


@pytest.mark.skipif(IDLE not in ort.get_available_providers(), reason=f'no {IDLE} here')
def test_nodes_left_to_the_cpu_are_named(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, IDLE)
    monkeypatch.setattr(
        backend_module, 'read_placement', lambda _: {IDLE: {'Conv': 3}, CPU: {'Shape': 2}}
    )
    backend = Backend(bundle, providers=('cuda',))
    assert backend.provider == IDLE
    assert '2 nodes of core.onnx run on the CPU (Shape)' in backend.warning
    with pytest.raises(ProviderError, match='Shape'):
        Backend(bundle, providers=('cuda',), provider_required=True)


@pytest.mark.skipif(IDLE not in ort.get_available_providers(), reason=f'no {IDLE} here')
def test_provider_that_commands_something_else_is_not_believed(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As with a cached engine of other weights."""
    pretend(monkeypatch, IDLE)
    monkeypatch.setattr(backend_module, 'read_placement', lambda _: {IDLE: {'Conv': 3}})
    assert Backend(bundle, providers=('cuda',)).provider == IDLE
    stale = load_bundle(make_bundle(tmp_path / 'stale', speed=True, seed=1))

    def open_stale(
        graph: BundleGraph, providers: list[tuple[str, dict[str, str]]], **more: object
    ):
        if providers[0][0] == IDLE:
            graph = replace(graph, data=graphs_of(stale)[graph.file].data)
        return open_session(graph, providers, **more)

    monkeypatch.setattr(backend_module, 'open_session', open_stale)
    backend = Backend(bundle, providers=('cuda',))
    assert backend.provider == CPU
    assert "commands differ from the CPU's" in backend.warning


def test_placement_is_read_from_what_ran(bundle: Bundle, tmp_path: Path) -> None:
    graph = graphs_of(bundle)['core.onnx']
    found = open_session(graph, [(CPU, {})], profile=tmp_path / 'profile')
    GraphSession(found, graph).warm_up()
    placement = read_placement(Path(found.end_profiling()))
    assert list(placement) == [CPU]
    assert placement[CPU]['MatMul'] == 5, 'each node once, however often it ran'


def test_graph_that_loads_but_does_not_run_is_refused(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: GraphSession) -> None:
        raise RuntimeError('no kernel image is available for execution on the device')

    monkeypatch.setattr(GraphSession, 'run', fail)
    with pytest.raises(BundleError, match='cannot be run: no kernel image'):
        Backend(bundle)


# Memory, with this process's memory in place of a GPU's


def on_device(bundle: Bundle, file: str) -> DeviceSession:
    graph = graphs_of(bundle)[file]
    return DeviceSession(open_session(graph, [(CPU, {})]), graph, ('cpu', 0))


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 120, 160, 3), dtype=np.uint8)


def test_state_and_features_on_the_device_give_the_same_commands(bundle: Bundle) -> None:
    host, device = Policy(bundle), Policy(bundle)
    device.backend.encoders['image'] = on_device(bundle, 'encoder_image.onnx')
    device.backend.core = on_device(bundle, 'core.onnx')
    rng = np.random.default_rng(0)
    for step, image in enumerate(frames(40)):
        inputs = {
            'imu': rng.normal(size=6).astype(np.float32),
            'speed': rng.uniform(0, 2, 1).astype(np.float32),
        }
        elapsed = float(rng.uniform(0.01, 0.1))
        if step == 20:
            for policy in (host, device):
                policy.state = np.linspace(-1, 1, 8, dtype=np.float32)
        if step == 30:
            host.reset()
            device.reset()
        expected = host.step({**inputs, 'image': host.encode('image', image)}, elapsed)
        features = device.encode('image', image)
        assert isinstance(features, DeviceArray)
        assert features.resident is not None
        np.testing.assert_array_equal(
            device.step({**inputs, 'image': features}, elapsed), expected
        )
        np.testing.assert_array_equal(device.state, host.state)


def test_features_are_used_where_they_are(bundle: Bundle) -> None:
    """Their copy in host memory is for checks; the core reads the device's."""
    core, encoder = on_device(bundle, 'core.onnx'), on_device(bundle, 'encoder_image.onnx')
    encoder.write('image', frames(1)[0, :48, :96])
    encoder.run()
    features = encoder.read('features')
    core.write('elapsed', 0.1)
    core.write('image', features)
    core.run()
    first = core.read('command')
    elsewhere = np.zeros_like(features)
    elsewhere.resident = features.resident
    core.state = np.zeros(8, np.float32)
    core.write('image', elsewhere)
    core.run()
    np.testing.assert_array_equal(core.read('command'), first)
    core.state = np.zeros(8, np.float32)
    core.write('image', elsewhere + 0)
    core.run()
    assert not np.array_equal(core.read('command'), first), 'ordinary features are copied in'


def test_a_new_frame_does_not_overwrite_features_in_use(bundle: Bundle) -> None:
    encoder = on_device(bundle, 'encoder_image.onnx')
    kept, copies = [], []
    for image in frames(10):
        encoder.write('image', image[:48, :96])
        encoder.run()
        kept.append(encoder.read('features'))
        copies.append(kept[-1].tobytes())
    assert len(set(copies)) == 10
    assert [features.resident.numpy()[0].tobytes() for features in kept] == copies


# The machine

DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return STATUS; }
int cuDeviceGet(int *device, int index) { *device = index; return index < 2 ? 0 : 101; }
int cuDeviceGetName(char *name, int length, int device) { return !strncpy(name, "Orin", length); }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 8 : attribute == 76 ? 7 : -1;
    return 0;
}
int getInferLibVersion(void) { return 100300; }
"""


@pytest.mark.skipif(shutil.which('cc') is None, reason='no C compiler to make a driver with')
def test_gpu_and_tensorrt_are_asked_of_their_libraries(tmp_path: Path) -> None:
    (tmp_path / 'driver.c').write_text(DRIVER)
    for status in (0, 100):
        command = ['cc', '-shared', '-fPIC', f'-DSTATUS={status}', '-o', f'lib{status}.so']
        subprocess.run([*command, 'driver.c'], cwd=tmp_path, check=True)
    driver = str(tmp_path / 'lib0.so')
    assert find_device(0, driver) == Device('Orin', '8.7')
    assert find_device(2, driver) is None, 'no such device'
    assert find_device(0, str(tmp_path / 'lib100.so')) is None, 'a driver without a GPU'
    assert find_device(0, 'libnowhere.so') is None
    assert tensorrt_version(['libnowhere.so', driver]) == '100300'
    assert tensorrt_version(['libnowhere.so']) == ''
