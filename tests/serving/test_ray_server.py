"""A real server: `mghft-export serve` in an environment of its own, made from this checkout with the extra `ray`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

import mghft_export as mghft
from mghft_export.cli.main import cli, run

http = pytest.importorskip("tritonclient.http")

ROOT = Path(__file__).parents[2]
SECONDS = 120


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The installed command `mghft-export`."""
    environment = tmp_path_factory.mktemp("ray") / "env"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip = [environment / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The versions that the other tests run with do not all go with Ray (protobuf).
    clean = {name: value for name, value in os.environ.items() if name != "PIP_CONSTRAINT"}
    done = subprocess.run([*pip, f"{ROOT}[ray]"], capture_output=True, text=True, env=clean)
    if done.returncode != 0:
        pytest.skip(f"ray[serve] cannot be installed: {done.stderr.strip().splitlines()[-1][:200]}")
    return environment / "bin" / "mghft-export"


@pytest.fixture(scope="module")
def start(program, tmp_path_factory):
    """Starts a server; the function returns its address and its process."""
    logs = tmp_path_factory.mktemp("log")
    started = []

    def start(bundle, *options, **variables):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        log = logs / str(port)
        command = [str(program), "serve", str(bundle), "--port", str(port), *options]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        with log.open("w") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=file, env={**environment, **variables}, cwd=logs
            )
        started.append(process)
        until = time.monotonic() + SECONDS
        while "Serving at" not in log.read_text():
            if time.monotonic() > until or process.poll() is not None:
                pytest.fail(f"the server did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.2)
        return f"http://127.0.0.1:{port}", process, log

    yield start
    for process in started:
        process.terminate()
    for process in started:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture(scope="module")
def server(start, tiny_bundle):
    return start(tiny_bundle, "--max-batch", "4")


@pytest.fixture(scope="module")
def stickers(small_set):
    files = sorted((small_set / "Images").glob("*/*.png"))[:6]
    return files, [f"a happy cat, number {n}" for n in range(6)]


@pytest.fixture(scope="module")
def wanted(tiny_bundle, stickers):
    return mghft.load(tiny_bundle).predict(*map(list, stickers))


def predict(url, image, text, token=""):
    """The status and the answer of POST /predict."""
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + image,
        b'--x\r\nContent-Disposition: form-data; name="text"\r\n\r\n' + text.encode(),
        b"--x--\r\n",
    ]
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/predict", b"\r\n".join(parts), headers)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as found:
            return found.status, json.load(found)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_it_answers_as_the_bundle_does(server, stickers, wanted):
    url = server[0]
    files, texts = stickers
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: predict(url, files[n % 6].read_bytes(), texts[n % 6]), range(48)))
    for number, (status, answer) in enumerate(found):
        assert status == 200
        assert answer["label"] == wanted[number % 6].label
        assert answer["probabilities"] == pytest.approx(wanted[number % 6].probabilities, abs=1e-5)
    with urllib.request.urlopen(f"{url}/", timeout=SECONDS) as page:
        assert b"<title>" in page.read()


def test_a_broken_image_is_its_own_error(server, stickers, wanted):
    url = server[0]
    files, texts = stickers
    images = [path.read_bytes() for path in files]
    images[2] = b"broken"
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda n: predict(url, images[n], texts[n]), range(6)))
    assert [status for status, _ in found] == [200, 200, 400, 200, 200, 200]
    assert "the image cannot be read as an image" in found[2][1]["error"]
    assert found[3][1]["label"] == wanted[3].label


def test_nvidias_client_asks_it(server, stickers, wanted):
    files, texts = stickers
    client = http.InferenceServerClient(server[0].removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("mghft")
    inputs = []
    for name, values in (("image", [path.read_bytes() for path in files[:4]]), ("text", texts[:4])):
        array = np.array(
            [[value if isinstance(value, bytes) else value.encode()] for value in values], np.object_
        )
        inputs.append(http.InferInput(name, [4, 1], "BYTES").set_data_from_numpy(array))
    found = client.infer("mghft", inputs)
    np.testing.assert_allclose(
        found.as_numpy("probabilities"), [list(item.probabilities.values()) for item in wanted[:4]], atol=1e-5
    )


def test_the_command_asks_it(server, stickers, wanted, tmp_path, capsys):
    files, texts = stickers
    (tmp_path / "broken.png").write_bytes(b"broken")
    images = [str(files[0]), str(files[1]), str(tmp_path / "broken.png")]
    words = [word for text in texts[:3] for word in ("--text", text)]
    assert run(cli, ["client", *images, "--url", server[0], *words, "--json"]) == 1
    said = capsys.readouterr()
    assert [json.loads(line)["label"] for line in said.out.splitlines()] == [
        item.label for item in wanted[:2]
    ]
    assert "broken.png: the image cannot be read as an image" in said.err
    assert run(cli, ["client", images[0], "--url", server[0], "--model", "cats"]) == 2
    assert "--model" in capsys.readouterr().err


def test_a_port_in_use_and_a_missing_token_are_one_sentence(program, server, tiny_bundle, tmp_path):
    port = server[0].rsplit(":", 1)[1]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for options, words in (
        (["--port", port], "cannot listen at 127.0.0.1"),
        (["--host", "0.0.0.0"], "needs a token"),
        (["--precision", "int4"], "int4"),
        (["--replicas", "3", "--max-replicas", "2"], "--max-replicas 2 is below"),
    ):
        done = subprocess.run(
            [program, "serve", tiny_bundle, *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_a_configuration_for_a_cluster(program, tiny_bundle, tmp_path):
    """Ray itself reads it and builds the application from it."""
    config = tmp_path / "serve.yaml"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [
        program,
        "serve",
        tiny_bundle,
        "--host",
        "0.0.0.0",
        "--config-out",
        config,
        "--max-replicas",
        "4",
    ]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    script = (
        "import sys, yaml; from ray.serve.schema import ServeDeploySchema as S; "
        "from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as build; "
        "from mghft_export.serving.ray_server import build_app; "
        "app = S.model_validate(yaml.safe_load(open(sys.argv[1]))).applications[0]; "
        "assert app.import_path == 'mghft_export.serving.ray_server:build_app'; "
        "print(type(build(build_app, app.args)).__name__, app.args['needs_token'], app.args['max_replicas'])"
    )
    done = subprocess.run(
        [program.parent / "python", "-c", script, config],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.stdout.split() == ["Application", "True", "4"], done.stderr


def test_a_token_is_needed_once_it_is_set(start, tiny_bundle, stickers, wanted, monkeypatch, capsys):
    """And SIGTERM under load: what is under way is answered, and no process is left."""
    files, texts = stickers
    url, process, log = start(
        tiny_bundle, "--queue-delay", "2000000", "--max-batch", "32", MGHFT_TOKEN="secret"
    )
    assert predict(url, b"x", "")[0] == 401
    assert run(cli, ["client", str(files[0]), "--url", url]) == 2
    assert "MGHFT_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("MGHFT_TOKEN", "secret")
    assert run(cli, ["client", str(files[0]), "--url", url, "--text", texts[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["label"] == wanted[0].label

    family = psutil.Process(process.pid).children(recursive=True)
    assert family
    image = files[0].read_bytes()
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(predict, url, image, texts[0], "secret") for _ in range(16)]
        time.sleep(0.3)  # they have arrived, and wait for others to run with
        assert not any(item.done() for item in asked)
        process.send_signal(signal.SIGTERM)
        assert [item.result() for item in asked if item.result()[0] != 200] == []
    assert process.wait(60) == 0
    assert log.read_text().splitlines()[-1] == "Stopped."
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
