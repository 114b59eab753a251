"""The HTTP side of the server, in this process and without Ray."""

from __future__ import annotations

import asyncio
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import mghft_export as mghft
from mghft_export.bundle import load_bundle
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.runtime.pipeline import Prediction
from mghft_export.serving.access_token import token_of
from mghft_export.serving.infer_request import JSON_LENGTH, read_request
from mghft_export.serving.serve_options import ServeOptions

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from mghft_export.serving.http_app import ModelFacts, http_app

http = pytest.importorskip("tritonclient.http")

FACTS = ModelFacts(
    class_names=("happy", "sad"),
    takes_no_text=True,
    trained=True,
    precision="fp32",
    version="0123456789ab",
    warnings=(),
    feature_width=2,
)
GOOD = Prediction("sad", {"happy": 0.25, "sad": 0.75})


def client_of(classify, token=None, **limits):
    return TestClient(
        http_app(FACTS, classify, ServeOptions(bundle="none", **limits), token), raise_server_exceptions=False
    )


async def by_content(sticker):
    """Stands for the model: an image is good, `bad` or `crash`."""
    if sticker.image == b"crash":
        raise MGHFTError("the GPU is gone")
    return StickerError(f"{sticker.name} cannot be read") if sticker.image == b"bad" else GOOD


@pytest.fixture
def client():
    with client_of(by_content) as found:
        yield found


def asked(images, texts=None, features=None, **options):
    """A request's body and headers, written by NVIDIA's client."""

    def words(name, values):
        array = np.empty((len(values), 1), np.object_)
        array[:, 0] = values
        tensor = http.InferInput(name, [len(values), 1], "BYTES")
        return tensor.set_data_from_numpy(array)

    inputs = [words("image", images)]
    if texts is not None:
        inputs.append(words("text", [text.encode() for text in texts]))
    if features is not None:
        tensor = http.InferInput("text_features", list(features.shape), "FP32")
        inputs.append(tensor.set_data_from_numpy(features))
    body, length = http.InferenceServerClient.generate_request_body(inputs, **options)
    return {"content": body, "headers": {} if length is None else {JSON_LENGTH: str(length)}}


def parsed(response):
    length = response.headers.get(JSON_LENGTH)
    return http.InferenceServerClient.parse_response_body(
        response.content, header_length=None if length is None else int(length)
    )


def post(client, **request):
    return client.post("/v2/models/mghft/infer", **request)


def test_predict_answers_a_form(client):
    found = client.post("/predict", files={"image": b"good"}, data={"text": "a cat"})
    assert found.status_code == 200
    assert found.json()["label"] == "sad"
    assert found.json()["probabilities"] == GOOD.probabilities
    assert found.json()["version"] == FACTS.version


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        ({"files": {"image": b"bad"}}, 400, "the image cannot be read"),
        ({"files": {"image": b"crash"}}, 500, "the GPU is gone"),
        ({"data": {"text": "a cat"}}, 400, "send the file as `image`"),
        ({"data": {"image": "a cat"}}, 400, "send the file as `image`"),
        ({"json": [1]}, 400, "send the file as `image`"),
    ],
)
def test_predict_says_what_is_wrong(client, form, status, words):
    found = client.post("/predict", **form)
    assert found.status_code == status
    assert words in found.json()["error"]


def test_the_model_gets_what_was_sent():
    got = []

    async def keep(sticker):
        got.append(sticker)
        return GOOD

    features = np.arange(16, dtype=np.float32).reshape(2, 4, 2)
    with client_of(keep) as client:
        client.post("/predict", files={"image": b"one"}, data={"text": "ein Kätzchen"})
        assert post(client, **asked([b"a", b""], ["x", "ü"])).status_code == 200
        assert post(client, **asked([b"a", b"b"], features=features)).status_code == 200
    assert [(item.image, item.text) for item in got] == [
        (b"one", "ein Kätzchen"),
        (b"a", "x"),
        (b"", "ü"),
        (b"a", None),
        (b"b", None),
    ]
    np.testing.assert_array_equal(np.stack([item.features for item in got[3:]]), features)


def test_nvidias_client_understands_the_answer(client):
    found = parsed(post(client, **asked([b"good", b"bad", b"good"], request_id="seven")))
    assert found.get_response()["id"] == "seven"
    assert found.as_numpy("label").ravel().tolist() == [b"sad", b"", b"sad"]
    assert found.as_numpy("error").ravel().tolist() == [b"", b"image 1 cannot be read", b""]
    np.testing.assert_array_equal(
        found.as_numpy("probabilities"), np.float32([[0.25, 0.75], [np.nan] * 2, [0.25, 0.75]])
    )
    assert set(found.as_numpy("version").ravel()) == {FACTS.version.encode()}


def test_outputs_can_be_chosen_and_be_json(client):
    outputs = [http.InferRequestedOutput("probabilities", binary_data=False)]
    found = post(client, **asked([b"good", b"bad"], outputs=outputs))
    assert found.headers["content-type"] == "application/json"
    assert [item["name"] for item in found.json()["outputs"]] == ["probabilities"]
    assert found.json()["outputs"][0]["data"] == [0.25, 0.75, None, None]
    mixed = [http.InferRequestedOutput("label"), http.InferRequestedOutput("error", binary_data=False)]
    answer = parsed(post(client, **asked([b"good", b"bad"], outputs=mixed)))
    assert answer.as_numpy("label").ravel().tolist() == [b"sad", b""]
    assert answer.as_numpy("error").ravel().tolist() == ["", "image 1 cannot be read"]
    wrong = post(client, **asked([b"good"], outputs=[http.InferRequestedOutput("logits")]))
    assert (wrong.status_code, "logits" in wrong.json()["error"]) == (400, True)


def test_one_bad_sticker_is_the_requests_error(client):
    found = post(client, **asked([b"bad"]))
    assert (found.status_code, found.json()) == (400, {"error": "the image cannot be read"})
    assert post(client, **asked([b"crash"])).status_code == 500


IMAGE = {"name": "image", "shape": [1, 1], "datatype": "BYTES"}


@pytest.mark.parametrize(
    ("inputs", "binary", "words"),
    [
        ([], b"", "has no image"),
        ([{**IMAGE, "data": ["x"]}], b"", "cannot be JSON"),
        ([{**IMAGE, "datatype": "FP32"}], b"", "send BYTES"),
        ([{**IMAGE, "name": "pixels"}], b"", "has no input 'pixels'"),
        ([{**IMAGE, "parameters": {"binary_data_size": 9}}], b"abc", "fewer bytes"),
        ([{**IMAGE, "parameters": {"binary_data_size": 3}}], b"abc", "ends within a value"),
        ([{**IMAGE, "parameters": {"binary_data_size": 5}}], b"\xff\0\0\0a", "ends within a value"),
        ([{**IMAGE, "parameters": {"binary_data_size": -1}}], b"", "binary_data_size"),
        ([{**IMAGE, "parameters": {"binary_data_size": 5}}], b"\1\0\0\0ab", "1 bytes after its last input"),
        (
            [{**IMAGE, "shape": [2, 1], "parameters": {"binary_data_size": 5}}],
            b"\1\0\0\0a",
            "the shape [2, 1]",
        ),
        ([{**IMAGE, "shape": [0, 1], "parameters": {"binary_data_size": 0}}], b"", "at least one"),
        (
            [{**IMAGE, "shape": [10**30], "parameters": {"binary_data_size": 5}}],
            b"\1\0\0\0a",
            "the shape [1000",
        ),
        ([{**IMAGE, "shape": [-1, -1], "parameters": {"binary_data_size": 5}}], b"\1\0\0\0a", "shape"),
    ],
)
def test_a_wrong_request_is_one_sentence(client, inputs, binary, words):
    head = json.dumps({"inputs": inputs}).encode()
    found = post(client, content=head + binary, headers={JSON_LENGTH: str(len(head))})
    assert found.status_code == 400
    assert words in found.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "", "999999", "²", "9" * 5000])
def test_a_wrong_length_is_one_sentence(length):
    with pytest.raises(StickerError, match=JSON_LENGTH):
        read_request(b"{}", length, most=8)


@pytest.mark.parametrize(
    ("texts", "features", "words"),
    [
        (["a"], None, "1 texts"),
        (None, np.zeros((2, 8), np.float32), "4, C"),
        (None, np.zeros((1, 4, 2), np.float32), "4, C"),
    ],
)
def test_counts_must_match(client, texts, features, words):
    found = post(client, **asked([b"a", b"b"], texts, features))
    assert found.status_code == 400
    assert words in found.json()["error"]


@settings(max_examples=300, deadline=None)
@given(some.binary(max_size=80), some.one_of(some.none(), some.integers(-2, 90).map(str)))
def test_any_bytes_are_refused_in_words(body, length):
    with pytest.raises(StickerError):
        read_request(body, length, most=8)


VALUES = some.recursive(
    some.one_of(some.none(), some.booleans(), some.integers(), some.floats(), some.text(max_size=5)),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    some.lists(
        some.fixed_dictionaries(
            {"name": some.sampled_from(["image", "text", "text_features"])},
            optional={
                "shape": some.lists(some.one_of(some.integers(-2, 4), some.integers()), max_size=3),
                "datatype": some.sampled_from(["BYTES", "FP32"]),
                "data": VALUES,
                "parameters": some.fixed_dictionaries(
                    {}, optional={"binary_data_size": some.integers(0, 40)}
                ),
            },
        ),
        max_size=3,
    ),
    some.binary(max_size=40),
)
def test_any_tensors_are_read_or_refused(inputs, binary):
    head = json.dumps({"inputs": inputs}).encode()
    try:
        found = read_request(head + binary, str(len(head)), most=8)
    except StickerError:
        return
    assert found.stickers


def test_a_full_queue_is_status_429():
    async def scenario():
        from httpx import ASGITransport, AsyncClient

        gate = asyncio.Event()

        async def wait(sticker):
            await gate.wait()
            return GOOD

        app = http_app(FACTS, wait, ServeOptions(bundle="none", max_queue=2), None)
        async with AsyncClient(transport=ASGITransport(app), base_url="http://server") as client:
            many = [asyncio.create_task(client.post("/predict", files={"image": b"x"})) for _ in range(5)]
            refused, _ = await asyncio.wait(many, timeout=5, return_when=asyncio.FIRST_COMPLETED)
            while len(refused) < 3:
                refused, _ = await asyncio.wait(many, timeout=0.05)
            gate.set()
            found = [task.result() for task in (await asyncio.wait(many))[0]]
            again = await client.post("/predict", files={"image": b"x"})
        return found, again

    found, again = asyncio.run(scenario())
    assert sorted(item.status_code for item in found) == [200, 200, 429, 429, 429]
    busy = next(item for item in found if item.status_code == 429)
    assert busy.headers["retry-after"] == "1"
    assert "2 stickers are waiting" in busy.json()["error"]
    assert again.status_code == 200  # the places of answered stickers are free again


def test_a_slow_model_is_status_504():
    async def never(sticker):
        await asyncio.sleep(60)

    with client_of(never, timeout=0.05, max_queue=1) as client:
        for _ in range(2):  # the second finds the first's place free
            found = client.post("/predict", files={"image": b"x"})
            assert found.status_code == 504
            assert "0.05 seconds" in found.json()["error"]


def test_a_long_body_is_status_413():
    with client_of(by_content, max_body=2000) as client:
        assert client.post("/predict", files={"image": b"x" * 1000}).status_code == 200
        for request in (
            {"files": {"image": b"x" * 2001}},
            {
                "content": (b"x" * 500 for _ in range(5)),
                "headers": {"content-type": "multipart/form-data; boundary=x"},
            },
        ):
            found = client.post("/predict", **request)
            assert found.status_code == 413, found.text
            assert "over 0.002 MB" in found.json()["error"]
        assert post(client, content=(b"x" * 500 for _ in range(5))).status_code == 413


def test_too_many_stickers_are_refused():
    with client_of(by_content, max_batch=2) as client:
        assert post(client, **asked([b"x"] * 2)).status_code == 200
        found = post(client, **asked([b"x"] * 3))
        assert (found.status_code, "more than 2 stickers" in found.json()["error"]) == (400, True)


def test_a_request_that_is_longer_than_the_queue_is_still_served():
    with client_of(by_content, max_batch=8, max_queue=2) as client:
        assert post(client, **asked([b"x"] * 8)).status_code == 200


def test_the_token_is_asked_for():
    with client_of(by_content, token="secret") as client:
        for path in ("/info", "/v2/models/mghft", "/v2/models/mghft/config"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
            assert client.get(path, headers={"Authorization": "Bearer secret"}).status_code == 200
        found = client.post("/predict", files={"image": b"x"})
        assert found.status_code == 401
        assert "token" in found.json()["error"]
        for path in ("/", "/v2/health/live", "/v2/health/ready"):
            assert client.get(path).status_code == 200


def test_a_needed_token_must_be_there():
    assert token_of({}, False) is None
    assert token_of({"MGHFT_TOKEN": "abc"}, True) == "abc"
    for environment in ({}, {"MGHFT_TOKEN": ""}):
        with pytest.raises(MGHFTError, match="needs a token"):
            token_of(environment, True)
    for token in ("a b", "ü", "a\n"):
        with pytest.raises(MGHFTError, match="a header cannot have"):
            token_of({"MGHFT_TOKEN": token}, False)


def test_it_describes_itself_as_the_triton_repository_does(client, tiny_bundle, tmp_path):
    """The same names, types and shapes under both servers, so that one client serves both."""
    text_format = pytest.importorskip("google.protobuf.text_format")
    from tritonclient.grpc import model_config_pb2

    from mghft_export.serving.triton_repository import RepositoryOptions, write_repository

    write_repository(load_bundle(tiny_bundle), tmp_path / "repository", RepositoryOptions())
    config = text_format.Parse(
        (tmp_path / "repository" / "mghft" / "config.pbtxt").read_text(), model_config_pb2.ModelConfig()
    )
    model = client.get("/v2/models/mghft").json()
    for ours, theirs in (("inputs", config.input), ("outputs", config.output)):
        assert [
            (item["name"], f"TYPE_{item['datatype']}".replace("BYTES", "STRING")) for item in model[ours]
        ] == [(item.name, model_config_pb2.DataType.Name(item.data_type)) for item in theirs]
        assert [len(item["shape"]) - 1 for item in model[ours]] == [len(item.dims) for item in theirs]
    names = client.get("/v2/models/mghft/config").json()["parameters"]["class_names"]["string_value"]
    assert json.loads(names) == list(FACTS.class_names)
    assert list(config.parameters) == ["class_names"]


def test_the_page_runs_only_its_own_program(client):
    found = client.get("/")
    assert "default-src 'none'" in found.headers["content-security-policy"]
    for elsewhere in ("http://", "https://", "src=", "@import", "url("):
        assert elsewhere not in found.text
    assert client.get("/docs").status_code == 404
    assert "/predict" in client.get("/openapi.json").json()["paths"]


def test_a_real_model_behind_it(tiny_bundle, small_set):
    """The same answers as from the bundle, for texts and for features."""
    model = mghft.load(tiny_bundle)

    async def classify(sticker):
        (found,) = model.predict_each([sticker.image], [sticker.text], features=[sticker.features])
        return found

    images = [path.read_bytes() for path in sorted((small_set / "Images").glob("*/*.png"))[:3]]
    texts = ["a cat", "a dog", "#The sticker's intention: joy"]
    facts = FACTS.model_copy(update={"class_names": model.class_names})
    wanted = [list(item.probabilities.values()) for item in model.predict(images, texts)]
    with TestClient(http_app(facts, classify, ServeOptions(bundle="none"), None)) as client:
        for request in (asked(images, texts), asked(images, features=model.encode_texts(texts))):
            found = parsed(post(client, **request)).as_numpy("probabilities")
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_a_word_has_its_length_before_it():
    """Triton's form of BYTES, written out once by hand."""
    head = json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": 7}}]}).encode()
    (sticker,) = read_request(head + struct.pack("<I", 3) + b"cat", str(len(head)), most=1).stickers
    assert sticker.image == b"cat"


def test_repeated_inputs_and_outputs_are_refused(client):
    """An answer of a hundred thousand outputs would keep the server busy for hours."""
    many = [{"name": "probabilities", "parameters": {"binary_data": True}}] * 100_000
    head = json.dumps(
        {"inputs": [{**IMAGE, "parameters": {"binary_data_size": 5}}], "outputs": many}
    ).encode()
    found = post(client, content=head + b"\1\0\0\0a", headers={JSON_LENGTH: str(len(head))})
    assert (found.status_code, "outputs" in found.json()["error"]) == (400, True)
    head = json.dumps({"inputs": [{**IMAGE, "parameters": {"binary_data_size": 5}}] * 2}).encode()
    found = post(client, content=head + b"\1\0\0\0a" * 2, headers={JSON_LENGTH: str(len(head))})
    assert (found.status_code, "twice" in found.json()["error"]) == (400, True)


def test_features_must_be_numbers(client):
    for value in (np.nan, np.inf):
        found = post(client, **asked([b"good"], features=np.full((1, 4, 2), value, np.float32)))
        assert (found.status_code, "finite" in found.json()["error"]) == (400, True)


def test_a_fault_of_the_server_is_json_too():
    async def fails(sticker):
        raise RuntimeError("secret detail")

    with client_of(fails) as client:
        found = client.post("/predict", files={"image": b"x"})
    assert found.status_code == 500
    assert found.json() == {"error": "the server failed (RuntimeError); its log says why"}


def test_a_client_that_stops_in_its_body_is_status_408():
    async def scenario():
        from httpx import ASGITransport, AsyncClient

        async def half():
            yield b"--x\r\n"
            await asyncio.sleep(60)

        app = http_app(FACTS, by_content, ServeOptions(bundle="none", timeout=0.1), None)
        async with AsyncClient(transport=ASGITransport(app), base_url="http://server") as client:
            kind = {"content-type": "multipart/form-data; boundary=x"}
            return await client.post("/predict", content=half(), headers=kind)

    found = asyncio.run(scenario())
    assert (found.status_code, "0.1 seconds" in found.json()["error"]) == (408, True)
