"""A model repository for Triton: its files, its configurations, and the model that clients call."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving.stand_in_triton import Request, Server

import mghft_export as mghft
from mghft_export.bundle import load_bundle
from mghft_export.bundle.build_info import BuildInfo, write_build_info
from mghft_export.cli.main import cli, run
from mghft_export.errors import BundleError, EngineError, MGHFTError
from mghft_export.serving.served_bundle import SERVED, read_served
from mghft_export.serving.triton_config import Word, pbtxt
from mghft_export.serving.triton_model import TritonPythonModel
from mghft_export.serving.triton_repository import RepositoryOptions, write_repository

MODELS = ("mghft", "mghft_vision", "mghft_text", "mghft_fusion")


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def repository(bundle, tmp_path_factory):
    root = tmp_path_factory.mktemp("triton") / "repository"
    write_repository(bundle, root, RepositoryOptions(max_batch=4, gpu=False))
    return root


@pytest.fixture(scope="module")
def stickers(small_set):
    files = sorted((small_set / "Images").glob("*/*.png"))[:6]
    return [path.read_bytes() for path in files], [f"a happy cat, number {n}" for n in range(6)]


@pytest.fixture
def server(repository, monkeypatch):
    """A server that has loaded the repository, and the model that clients call."""
    found = Server(repository)
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", found.utils())
    model = TritonPythonModel()
    model.initialize({"model_repository": str(repository / "mghft"), "model_version": "1"})
    found.model = model
    yield found
    model.finalize()


def request(images, texts=None, features=None):
    def column(values):
        return None if values is None else np.array([[value] for value in values], np.object_)

    return Request(
        image=column(images),
        text=column(None if texts is None else [text.encode() for text in texts]),
        text_features=features,
    )


def rows(response, name):
    return response.tensors[name].as_numpy()


class TestAnswers:
    def test_they_are_those_of_the_bundle(self, server, bundle, stickers):
        images, texts = stickers
        wanted = mghft.load(bundle).predict(images, texts)
        (response,) = server.model.execute([request(images, texts)])
        assert [label.decode() for label in rows(response, "label").ravel()] == [
            item.label for item in wanted
        ]
        np.testing.assert_array_equal(
            rows(response, "probabilities"),
            np.array([list(item.probabilities.values()) for item in wanted], np.float32),
        )
        assert set(rows(response, "error").ravel()) == {b""}

    def test_requests_of_several_clients_run_together_up_to_the_largest_batch(self, server, stickers):
        _images, _texts = stickers
        responses = server.model.execute(
            [request([image], [text]) for image, text in zip(*stickers, strict=True)]
        )
        assert not any(response.has_error() for response in responses)
        assert [size for model, size in server.runs if model == "mghft_vision"] == [3, 3]

    def test_a_text_that_was_seen_before_is_not_encoded_again(self, server, stickers):
        images, texts = stickers
        for _ in range(3):
            server.model.execute([request(images[:2], texts[:2])])
        assert sum(model == "mghft_text" for model, _ in server.runs) == 1

    def test_features_take_the_place_of_texts(self, server, bundle, stickers):
        images, texts = stickers
        features = mghft.load(bundle).encode_texts(texts)
        plain, given = server.model.execute([request(images, texts), request(images, features=features)])
        np.testing.assert_allclose(rows(plain, "probabilities"), rows(given, "probabilities"), atol=1e-6)

    def test_a_broken_sticker_fails_alone(self, server, stickers):
        images, texts = stickers
        alone, together, sound = server.model.execute(
            [
                request([b"broken"], texts[:1]),
                request([images[0], b"broken"], texts[:2]),
                request([images[0]], texts[:1]),
            ]
        )
        assert alone.error().message().startswith("the image cannot be read as an image")
        assert rows(together, "error")[1, 0].startswith(b"image 1 cannot be read")  # of its own request
        assert np.isnan(rows(together, "probabilities")[1]).all()
        assert rows(together, "label")[0, 0] == rows(sound, "label")[0, 0] != b""

    def test_what_a_client_may_send_never_breaks_the_model(self, server, stickers):
        images, texts = stickers
        width = server.model._model._opened().feature_width
        bad = [
            request(None, texts[:1]),
            request([images[0]], [""]),
            request([images[0]], texts[:2]),
            request([images[0]], texts[:1], np.zeros((1, 4, width), np.float32)),
            request([images[0]], None, np.zeros((1, 4, width + 1), np.float32)),
            request(["../../etc/passwd"], texts[:1]),
            request([b""], texts[:1]),
        ]
        for item in bad:
            (response,) = server.model.execute([item])
            assert response.has_error()
            assert response.error().message()
        latin = Request(
            image=request([images[0]]).tensors["image"].as_numpy(), text=np.array([[b"\xff\xfe a"]], object)
        )
        assert not server.model.execute([latin])[0].has_error()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        requests=st.lists(
            st.tuples(
                st.lists(st.binary(max_size=40) | st.just(None), max_size=4),
                st.none() | st.lists(st.binary(max_size=20), max_size=4),
                st.none() | st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 70)),
            ),
            min_size=1,
            max_size=3,
        )
    )
    def test_every_request_has_an_answer(self, server, stickers, requests):
        """None stands for a sound sticker, so that sound and broken ones meet in one run."""
        made = [
            Request(
                image=np.array(
                    [[stickers[0][0] if item is None else item] for item in images], np.object_
                ).reshape(-1, 1),
                text=None
                if texts is None
                else np.array([[item] for item in texts], np.object_).reshape(-1, 1),
                text_features=None if shape is None else np.zeros(shape, np.float32),
            )
            for images, texts, shape in requests
        ]
        responses = server.model.execute(made)
        assert len(responses) == len(made)
        for request, response in zip(made, responses, strict=True):
            if not response.has_error():
                count = len(request.tensors["image"].as_numpy())
                assert {len(tensor.as_numpy()) for tensor in response.tensors.values()} == {count}

    def test_a_branch_that_fails_is_the_answer_of_all(self, server, stickers):
        images, texts = stickers
        server.broken.add("mghft_fusion")
        for response in server.model.execute([request(images[:1], texts[:1])] * 2):
            assert response.error().message() == "mghft_fusion failed: out of memory"


class TestRepository:
    def test_each_model_has_a_version_and_a_configuration(self, repository, bundle):
        for name in MODELS:
            assert f'name: "{name}"' in (repository / name / "config.pbtxt").read_text()
        for branch in ("vision", "text", "fusion"):
            graph = repository / f"mghft_{branch}" / "1" / "model.onnx"
            assert graph.read_bytes() == bundle.graph(branch).read_bytes()
        served, inputs = read_served(repository / "mghft" / "1")
        assert served.class_names == inputs.class_names == bundle.manifest.class_names

    def test_triton_takes_the_configurations(self, repository, bundle):
        protobuf = pytest.importorskip("tritonclient.grpc.model_config_pb2")
        text_format = pytest.importorskip("google.protobuf.text_format")
        types = {"float32": protobuf.TYPE_FP32, "float16": protobuf.TYPE_FP16, "int64": protobuf.TYPE_INT64}
        for name in MODELS:
            text = (repository / name / "config.pbtxt").read_text()
            config = text_format.Parse(
                text, protobuf.ModelConfig()
            )  # refuses fields and values that it does not know
            assert config.name == name
            assert config.max_batch_size == 4
            if name == "mghft":
                continue
            graph = bundle.manifest.precisions["fp32"][name.partition("_")[2]]
            for found, wanted in ((config.input, graph.inputs), (config.output, graph.outputs)):
                assert [item.name for item in found] == [item.name for item in wanted]
                assert [item.data_type for item in found] == [types[item.dtype] for item in wanted]
                sizes = [
                    [size if isinstance(size, int) else -1 for size in item.shape[1:]] for item in wanted
                ]
                assert [list(item.dims) for item in found] == sizes
            assert {warm_up.batch_size for warm_up in config.model_warmup} == {1}

    def test_names_and_versions_can_be_chosen(self, bundle, tmp_path):
        write_repository(bundle, tmp_path / "r", RepositoryOptions(name="emotion", version=7))
        assert (tmp_path / "r" / "emotion_text" / "7" / "model.onnx").is_file()
        assert "KIND_GPU" in (tmp_path / "r" / "emotion_text" / "config.pbtxt").read_text()
        served, _ = read_served(tmp_path / "r" / "emotion" / "7")
        assert served.branches["vision"].model == "emotion_vision"

    def test_it_replaces_a_repository_and_nothing_else(self, bundle, tmp_path):
        for _ in range(2):
            write_repository(bundle, tmp_path / "r", RepositoryOptions())
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "file").touch()
        with pytest.raises(MGHFTError, match="other files in it"):
            write_repository(bundle, tmp_path / "mine", RepositoryOptions())

    def test_a_damaged_one_is_one_sentence(self, bundle, tmp_path):
        write_repository(bundle, tmp_path / "r", RepositoryOptions())
        folder = tmp_path / "r" / "mghft" / "1"
        values = json.loads((folder / SERVED).read_text())
        (folder / SERVED).write_text(json.dumps({**values, "branches": {}}))
        with pytest.raises(BundleError, match="no vision branch; make the model repository again"):
            read_served(folder)
        (folder / SERVED).unlink()
        with pytest.raises(BundleError, match="lacks a file"):
            read_served(folder)

    def test_the_command_says_what_comes_next(self, tiny_bundle, tmp_path, capsys):
        assert run(cli, ["triton", str(tiny_bundle), "-o", str(tmp_path / "r"), "--cpu"]) == 0
        said = capsys.readouterr().out
        assert "tritonserver --model-repository" in said
        assert run(cli, ["triton", str(tiny_bundle), "-o", str(tmp_path / "r"), "--precision", "int4"]) == 2


def engines(folder, bundle, backend):
    """A folder of engines as TensorRT would have written it, for `--batch 1,2,8 --batch 1,16,64`."""
    folder.mkdir(parents=True)
    entries = {}
    for branch, graph in bundle.manifest.precisions["fp32"].items():
        content = b"an engine"
        (folder / f"{branch}.engine").write_bytes(content)
        sizes = [{"batch": batch, "length": length} for batch, length in ((1, 2), (2, 8), (8, 16))]
        more = [{"batch": batch, "length": length} for batch, length in ((1, 2), (16, 8), (64, 16))]
        entries[branch] = {
            "file": {
                "path": f"{branch}.engine",
                "sha256": __import__("hashlib").sha256(content).hexdigest(),
                "bytes": 9,
            },
            "onnx": graph.file.model_dump(),
            "profiles": [
                {
                    item.name: [
                        [size if isinstance(size, int) else at[size] for size in item.shape] for at in three
                    ]
                    for item in graph.inputs
                }
                for three in (sizes, more)
            ],
            "workspace": None,
            "seconds": 1.0,
            "layers": 1,
            "attentions": {"fused": 0, "expected": 0},
        }
    info = BuildInfo.model_validate(
        {
            "producer": "a test",
            "backend": backend,
            "version": "10.13.0.35",
            "precision": "fp32",
            "command": "mghft-export trt bundle --fp32",
            "engines": entries,
        }
    )
    write_build_info(folder, info)
    return folder


class TestEngines:
    def test_batches_and_preferred_batches_fit_their_profiles(self, bundle, tmp_path):
        folder = engines(tmp_path / "engines", bundle, "tensorrt")
        served = write_repository(bundle, tmp_path / "r", RepositoryOptions(max_batch=32), engine=folder)
        config = (tmp_path / "r" / "mghft_vision" / "config.pbtxt").read_text()
        assert 'backend: "tensorrt"' in config
        assert "max_batch_size: 32" in config
        assert "preferred_batch_size: 2\n  preferred_batch_size: 16" in config
        assert 'profile: "0"\n  profile: "1"' in config
        assert (tmp_path / "r" / "mghft_vision" / "1" / "model.plan").read_bytes() == b"an engine"
        assert served.tensorrt == "10.13.0.35"
        write_repository(bundle, tmp_path / "s", RepositoryOptions(max_batch=512), engine=folder)
        assert "max_batch_size: 64" in (tmp_path / "s" / "mghft_fusion" / "config.pbtxt").read_text()

    def test_those_of_tensorrt_rtx_are_refused(self, bundle, tmp_path):
        folder = engines(tmp_path / "engines", bundle, "rtx")
        with pytest.raises(EngineError, match="TensorRT-RTX, which Triton cannot run"):
            write_repository(bundle, tmp_path / "r", RepositoryOptions(), engine=folder)
        assert not (tmp_path / "r").exists()


def test_a_server_that_does_not_answer_is_one_sentence(small_set, capsys):
    pytest.importorskip("tritonclient.http")
    image = next((small_set / "Images").glob("*/*.png"))
    assert run(cli, ["client", str(image), "--url", "localhost:8000", "--text", "a"]) == 2
    assert "give one such as http://localhost:8000" in capsys.readouterr().err
    assert run(cli, ["client", str(image), "--url", "http://127.0.0.1:9", "--text", "a"]) == 2
    said = capsys.readouterr().err
    assert "does not answer" in said
    assert "check --url and --model" in said


def test_text_format_of_messages():
    values = {
        "name": 'a "b"',
        "kind": Word("KIND_CPU"),
        "on": True,
        "dims": [1, -1],
        "inner": [{"x": 1.5}, {}],
    }
    assert pbtxt(values) == (
        'name: "a \\"b\\""\nkind: KIND_CPU\non: true\ndims: 1\ndims: -1\ninner {\n  x: 1.5\n}\ninner {\n}\n'
    )
