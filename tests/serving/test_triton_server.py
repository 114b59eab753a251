"""A real Triton server loads the repository and answers as the bundle does in this process.

The server comes from the wheel of pytriton, which has the Python backend only. `onnxruntime_backend.py` stands in for
the ONNX Runtime backend. So this proves configurations, names, types, shapes and wiring, and says nothing about speed.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mghft_export as mghft
from mghft_export.bundle import load_bundle
from mghft_export.cli.main import cli, run
from mghft_export.serving.triton_repository import RepositoryOptions, write_repository

grpc = pytest.importorskip("tritonclient.grpc")

ROOT = Path(__file__).parents[2]
PACKAGES = ["numpy<2", "onnxruntime", "pillow", "platformdirs", "psutil", "pydantic", "tokenizers"]
"""What the model that clients call needs beside this package; the wheel's backend is built for NumPy 1."""
SECONDS = 120


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with the server, and its folder of backends."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        pytest.skip("the wheel of pytriton is for Linux on x86-64")
    root = tmp_path_factory.mktemp("triton")
    subprocess.run([sys.executable, "-m", "venv", root / "env"], check=True)
    pip = [root / "env" / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    clean = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    for packages in (["--no-deps", "nvidia-pytriton==0.7.0"], PACKAGES):
        done = subprocess.run([*pip, *packages], capture_output=True, text=True, env=clean)
        if done.returncode != 0:
            pytest.skip(f"{packages[-1]} cannot be installed: {done.stderr.strip().splitlines()[-1][:200]}")
    (site,) = (root / "env" / "lib").glob("python*/site-packages")
    server = site / "pytriton" / "tritonserver"
    stub = server / "python_backend_stubs" / f"{sys.version_info[0]}.{sys.version_info[1]}"
    if not stub.is_dir():
        pytest.skip(f"the wheel of pytriton has no stub for Python {stub.name}")
    shutil.copytree(server / "backends" / "python", root / "backends" / "python")
    shutil.copytree(stub, root / "backends" / "python", dirs_exist_ok=True)
    (root / "backends" / "onnxruntime").mkdir()
    shutil.copyfile(
        Path(__file__).with_name("onnxruntime_backend.py"), root / "backends" / "onnxruntime" / "model.py"
    )
    return root, site


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def client(environment, bundle):
    root, site = environment
    write_repository(bundle, root / "repository", RepositoryOptions(max_batch=8, decoders=1, gpu=False))
    ports = [free_port() for _ in range(3)]
    libraries = f"{sysconfig.get_config_var('LIBDIR')}:{site / 'nvidia_pytriton.libs'}"
    variables = {
        **os.environ,
        "LD_LIBRARY_PATH": libraries,
        "PATH": f"{root / 'env' / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    server = site / "pytriton" / "tritonserver"
    command = [server / "bin" / "tritonserver", "--model-repository", root / "repository"]
    command += ["--backend-directory", root / "backends", "--cache-directory", server / "caches"]
    command += ["--exit-timeout-secs", "3"]
    for kind, port in zip(("http", "grpc", "metrics"), ports, strict=True):
        command += [f"--{kind}-port", str(port), f"--{kind}-address", "127.0.0.1"]
    with (root / "log").open("w") as log:
        process = subprocess.Popen([str(item) for item in command], stdout=log, stderr=log, env=variables)
    try:
        found = grpc.InferenceServerClient(f"127.0.0.1:{ports[1]}")
        wait_until_ready(found, process, root / "log")
        found.url = f"http://127.0.0.1:{ports[0]}"
        yield found
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_until_ready(client, process, log):
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.is_server_ready():
                return
        except grpc.InferenceServerException:  # nobody listens yet
            pass
        time.sleep(0.3)
    pytest.fail(f"the server did not become ready:\n{log.read_text()[-3000:]}")


def ask(client, images, texts=None, features=None):
    def words(name, values):
        array = np.array([[value] for value in values], np.object_)
        tensor = grpc.InferInput(name, list(array.shape), "BYTES")
        tensor.set_data_from_numpy(array)
        return tensor

    inputs = [words("image", images)]
    if texts is not None:
        inputs.append(words("text", [text.encode() for text in texts]))
    if features is not None:
        inputs.append(grpc.InferInput("text_features", list(features.shape), "FP32"))
        inputs[-1].set_data_from_numpy(features)
    return client.infer("mghft", inputs)


@pytest.fixture(scope="module")
def stickers(small_set):
    files = sorted((small_set / "Images").glob("*/*.png"))[:6]
    return [path.read_bytes() for path in files], [f"a happy cat, number {n}" for n in range(6)]


@pytest.fixture(scope="module")
def wanted(bundle, stickers):
    found = mghft.load(bundle).predict(*stickers)
    return [item.label for item in found], np.array([list(item.probabilities.values()) for item in found])


def test_it_answers_as_the_bundle_does(client, bundle, stickers, wanted):
    images, texts = stickers
    labels, probabilities = wanted
    features = mghft.load(bundle).encode_texts(texts)
    for found in (ask(client, images, texts), ask(client, images, features=features)):
        assert [label.decode() for label in found.as_numpy("label").ravel()] == labels
        np.testing.assert_allclose(found.as_numpy("probabilities"), probabilities, atol=1e-5)
        assert len(set(found.as_numpy("version").ravel())) == 1


def test_errors_are_those_of_their_sticker(client, stickers, wanted):
    images, texts = stickers
    with pytest.raises(Exception, match="the image cannot be read as an image"):
        ask(client, [b"broken"], texts[:1])
    found = ask(client, [images[0], b"broken", images[2]], texts[:3])
    assert [bool(error) for error in found.as_numpy("error").ravel()] == [False, True, False]
    assert found.as_numpy("label")[2, 0].decode() == wanted[0][2]
    with pytest.raises(Exception, match="batch-size must be <= 8"):
        ask(client, images[:1] * 9, texts[:1] * 9)


def test_many_clients_get_their_own_answers(client, stickers, wanted):
    images, texts = stickers
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(
                lambda n: ask(client, [images[n % 6]], [texts[n % 6]]).as_numpy("label")[0, 0], range(60)
            )
        )
    assert [label.decode() for label in found] == [wanted[0][number % 6] for number in range(60)]


def test_the_command_asks_the_server(client, small_set, wanted, tmp_path, capsys):
    files = sorted((small_set / "Images").glob("*/*.png"))[:2]
    (tmp_path / "broken.png").write_bytes(b"broken")
    texts = [word for number in range(3) for word in ("--text", f"a happy cat, number {number}")]
    images = [*map(str, files), str(tmp_path / "broken.png")]
    assert run(cli, ["client", *images, "--url", client.url, *texts, "--json"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["label"] for line in said.out.splitlines()] == wanted[0][:2]
    assert "broken.png: the image cannot be read as an image" in said.err
    assert run(cli, ["client", images[0], "--url", client.url, "--text", "a happy cat, number 0"]) == 0
    assert f" {wanted[0][0]} " in capsys.readouterr().out


@pytest.mark.parametrize("model", ["cats", "mghft_vision"])
def test_another_model_is_one_sentence(model, client, small_set, capsys):
    image = next((small_set / "Images").glob("*/*.png"))
    assert run(cli, ["client", str(image), "--url", client.url, "--model", model]) == 2
    assert "--model" in capsys.readouterr().err


def test_every_model_is_ready(client):
    for name in ("mghft", "mghft_vision", "mghft_text", "mghft_fusion"):
        assert client.is_model_ready(name)
