"""A real HTTP server with every bad manner: each sticker is described once, or its failure is said."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from email.utils import formatdate
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interpretation.chat_server import Asked, ChatServer, Reply, good_answer, good_view, serving
from interpretation.conftest import draw_stickers
from PIL import Image

pytest.importorskip("openai")

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.ask import Manner, Work
from mghft_export.interpretation.corpus import find_images, read_corpus
from mghft_export.interpretation.endpoint import Endpoint
from mghft_export.interpretation.endpoint_address import is_this_machine
from mghft_export.interpretation.endpoint_client import LONGEST_BODY
from mghft_export.interpretation.record import Record
from mghft_export.interpretation.rules import Rules
from mghft_export.interpretation.running import STOP_AFTER, run
from mghft_export.stickers.views import VIEWS

KEY = "sk-very-secret-0123456789"


def describe(
    server: ChatServer, images: Sequence[Path], manner: Manner | None = None, **options: Any
) -> list[Record]:
    corpus = read_corpus(find_images(images))
    works = [Work(image, digest) for digest, image in corpus.distinct.items()]
    records: list[Record] = []

    async def work() -> None:
        settings = {"key": KEY, "key_variable": "OPENAI_API_KEY", "first_wait": 0.01, "concurrency": 4}
        backend = Endpoint(server.url, "tiny-vl", **{**settings, **options})
        try:
            await run(works, backend, manner or Manner(), keep=records.append)
        finally:
            await backend.close()

    asyncio.run(work())
    return records


def test_one_request_describes_a_sticker(stickers: Path) -> None:
    with serving() as server:
        records = describe(server, [stickers])
    assert len(records) == len(server.requests) == 12
    for record in records:
        assert record.complete(Rules())
        assert (record.model, record.prompt, record.language) == ("tiny-vl", "1", "English")
        assert (record.requests, record.tokens_in, record.tokens_out) == (1, 1000, 100)


def test_requests_carry_the_prompt_the_schema_and_a_png(stickers: Path) -> None:
    with serving() as server:
        describe(server, [stickers / "0000.png"], max_tokens=77)
    body = server.requests[0].body
    assert server.requests[0].path == "/v1/chat/completions"
    assert body["model"] == "tiny-vl"
    assert body["max_tokens"] == 77
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["intention", "style", "main_role", "gesture"]
    assert server.requests[0].images[0].startswith(b"\x89PNG")


def test_animations_are_sent_as_first_middle_and_last_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (60, 60), (40 * number, 0, 0)) for number in range(6)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(tmp_path / "b.gif", save_all=True, append_images=frames[1:2])
    with serving() as server:
        describe(server, [tmp_path / "a.webp", tmp_path / "b.gif"], concurrency=1)
    sent = [
        [Image.open(io.BytesIO(data)).getpixel((0, 0)) for data in asked.images] for asked in server.requests
    ]
    assert [[pixel[0] for pixel in pixels] for pixels in sent] == [[0, 120, 200], [0, 40]]
    assert "3 images are frames" in server.requests[0].prompt


def test_large_images_are_scaled_and_photographs_become_jpeg(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (1200, 900, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "photo.png")
    with serving() as server:
        describe(server, [tmp_path / "photo.png"])
    (data,) = server.requests[0].images
    assert data.startswith(b"\xff\xd8")
    assert Image.open(io.BytesIO(data)).size == (576, 768)


def test_never_more_requests_than_allowed_are_under_way(stickers: Path) -> None:
    with serving(lambda asked: Reply(good_answer(asked), seconds=0.03)) as server:
        describe(server, [stickers], concurrency=3)
    assert server.most_under_way == 3


def test_server_errors_and_broken_connections_are_tried_again(stickers: Path) -> None:
    troubles = {
        1: Reply(status=500),
        2: Reply(status=429, error="slow down"),
        3: Reply(hang_up=True),
        4: Reply(raw=b"{not json"),
        5: Reply(raw=b'{"choices": []}'),
    }

    def manners(asked: Asked) -> Reply:
        return troubles.get(asked.number) or Reply(good_answer(asked))

    with serving(manners) as server:
        records = describe(server, [stickers])
    assert all(record.complete(Rules()) for record in records)
    assert set(server.asked.values()) == {6}
    assert set(server.described.values()) == {1}


def test_retries_are_bounded_and_the_failure_says_what_the_server_said(stickers: Path) -> None:
    def manners(asked: Asked) -> Reply:
        return Reply(status=503, error="overloaded") if asked.sticker == bad else Reply(good_answer(asked))

    with serving() as server:
        describe(server, [stickers / "0003.png"])
        bad = next(iter(server.asked))
        server.asked.clear()
        server.manners = manners
        records = describe(server, [stickers], retries=2)
    failed = [record for record in records if record.failure]
    assert [record.failure for record in failed] == ["HTTP 503: overloaded, 3 times"]
    assert server.asked[bad] == 3
    assert len(records) == 12


@pytest.mark.parametrize("by_date", [False, True])
def test_waits_as_long_as_the_server_asks_in_seconds_or_by_a_date(stickers: Path, by_date: bool) -> None:
    times: list[float] = []

    def manners(asked: Asked) -> Reply:
        times.append(time.monotonic())
        if len(times) > 1:
            return Reply(good_answer(asked))
        # A date has whole seconds, so two of them are at least one.
        header = formatdate(time.time() + 2, usegmt=True) if by_date else "0.5"
        return Reply(status=429, headers={"retry-after": header})

    with serving(manners) as server:
        describe(server, [stickers / "0000.png", stickers / "0001.png"], concurrency=1)
    assert times[1] - times[0] >= (0.9 if by_date else 0.5)


def test_while_one_waits_for_the_server_the_others_do(stickers: Path) -> None:
    times: list[float] = []

    def manners(asked: Asked) -> Reply:
        times.append(time.monotonic())
        if len(times) == 1:
            return Reply(status=429, headers={"retry-after": "0.6"})
        return Reply(good_answer(asked), seconds=0.05)

    with serving(manners) as server:
        describe(server, [stickers], concurrency=2)
    meanwhile = [moment for moment in times if 0.1 < moment - times[0] < 0.55]
    assert meanwhile == []
    assert len(times) == 13


def test_a_wait_until_tomorrow_ends_the_run(stickers: Path) -> None:
    with (
        serving(lambda asked: Reply(status=429, headers={"retry-after": "86400"})) as server,
        pytest.raises(InterpreterError, match="asks to wait 86400 s"),
    ):
        describe(server, [stickers])


def test_a_slow_answer_is_lost_and_asked_for_again(stickers: Path) -> None:
    def manners(asked: Asked) -> Reply:
        return Reply(good_answer(asked), seconds=0.6 if asked.number == 1 else 0)

    with serving(manners) as server:
        (record,) = describe(server, [stickers / "0000.png"], timeout=0.3)
    assert record.complete(Rules())
    assert server.asked.total() == 2


def test_only_the_views_that_are_missing_are_asked_for_again(stickers: Path) -> None:
    def manners(asked: Asked) -> Reply:
        if asked.number == 1:
            views = {"intention": good_view("intention", "0"), "style": "too short", "gesture": "sad " * 20}
            return Reply(json.dumps(views))
        if asked.number == 2:
            return Reply("Style: " + good_view("style", "0"))
        return Reply(good_answer(asked))

    with serving(manners) as server:
        (record,) = describe(server, [stickers / "0000.png"])
    assert record.complete(Rules())
    assert record.requests == 3
    assert [asked.keys for asked in server.requests[1:]] == [
        ["style", "main_role", "gesture"],
        ["main_role", "gesture"],
    ]
    again = server.requests[1].prompt
    assert '"style": it had 2 words' in again
    assert '"main_role": it was missing' in again
    assert '"gesture": it used the word "sad"' in again


def test_a_model_that_keeps_naming_a_class_fails_unless_labels_are_allowed(stickers: Path) -> None:
    def manners(asked: Asked) -> Reply:
        return Reply(
            json.dumps(dict.fromkeys(asked.keys, "Here one sees a cat that is very angry about it."))
        )

    with serving(manners) as server:
        (record,) = describe(server, [stickers / "0000.png"], Manner(attempts=3))
        assert 'the word "angry"' in str(record.failure)
        assert record.requests == 3
        (record,) = describe(server, [stickers / "0000.png"], Manner(rules=Rules(labels=())))
        assert record.failure is None
        assert record.requests == 1


def test_an_answer_that_was_cut_says_so(stickers: Path) -> None:
    with serving(lambda asked: Reply('{"style": "', finish="length")) as server:
        (record,) = describe(server, [stickers / "0000.png"], Manner(attempts=1))
    assert "cut at its longest" in str(record.failure)


@pytest.mark.parametrize(
    ("usage", "tokens_in"),
    [
        (None, 0),
        ({"total_tokens": 5}, 0),
        ({"prompt_tokens": None, "completion_tokens": None}, 0),
        ({"prompt_tokens": 7}, 7),
    ],
)
def test_an_endpoint_that_counts_not_all_tokens(
    stickers: Path, usage: dict[str, Any] | None, tokens_in: int
) -> None:
    with serving(lambda asked: Reply(good_answer(asked), usage=usage)) as server:
        (record,) = describe(server, [stickers / "0000.png"])
    assert record.complete(Rules())
    assert (record.tokens_in, record.tokens_out) == (tokens_in, 0)


def hostile(asked: Asked) -> Reply:
    """What comes after one good answer, by the number of the request."""
    if asked.number == 1:
        return Reply(raw=b'{"choices": ' + b"[" * 100_000, kind="application/json")
    if asked.number == 2:
        return Reply(raw=b" " * (LONGEST_BODY + 1))
    if asked.number == 3:
        return Reply(status=500, raw=b"x" * (LONGEST_BODY + 1))
    if asked.number == 4:
        return Reply(raw=gzip.compress(b" " * 10_000_000), headers={"content-encoding": "gzip"})
    return Reply(good_answer(asked))


def test_answers_without_measure_are_failed_answers(stickers: Path) -> None:
    with serving(hostile) as server:
        (record,) = describe(server, [stickers / "0000.png"])
    assert record.complete(Rules())
    assert server.asked.total() == 5
    assert all(asked.headers["accept-encoding"] == "identity" for asked in server.requests)
    for manners, said in [
        (
            lambda asked: Reply(raw=b" " * (LONGEST_BODY + 1)),
            "an answer of more than 16,777,216 bytes, 2 times",
        ),
        (hostile, "no chat completion"),
    ]:
        with serving(manners) as server:
            (record,) = describe(server, [stickers / "0000.png"], retries=1 if manners is not hostile else 0)
        assert said in str(record.failure)


def test_an_answer_that_never_ends_is_lost_in_time(stickers: Path) -> None:
    """Each byte comes in time, the last one never."""
    with serving(lambda asked: Reply(raw=b"x" * 1000, seconds_a_byte=0.05)) as server:
        start = time.monotonic()
        (record,) = describe(server, [stickers / "0000.png"], timeout=0.4, retries=1)
        seconds = time.monotonic() - start
    assert record.failure == "no answer in time, 2 times"
    assert seconds < 20  # and not the 50 that one of the answers takes


@pytest.mark.parametrize("count", [1e400, float("nan"), -5, 10**40, "many", [1]])
def test_tokens_that_cannot_be_are_not_counted(stickers: Path, count: Any) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": 3}
    with serving(lambda asked: Reply(good_answer(asked), usage=usage)) as server:
        (record,) = describe(server, [stickers / "0000.png"])
    assert record.complete(Rules())
    assert (record.tokens_in, record.tokens_out) == (0, 3)


def test_a_key_in_an_answer_is_not_kept(stickers: Path) -> None:
    def manners(asked: Asked) -> Reply:
        return Reply(good_answer(asked).replace("quite well", f"with {KEY} quite well"))

    with serving(manners) as server:
        (record,) = describe(server, [stickers / "0000.png"])
    assert record.complete(Rules())
    assert KEY not in record.model_dump_json()


def test_a_redirect_after_answers_is_one_stickers_failure(stickers: Path) -> None:
    with serving() as server:
        images = [stickers / "0000.png", stickers / "0001.png", stickers / "0002.png"]

        def manners(asked: Asked) -> Reply:
            return (
                Reply(good_answer(asked)) if len(server.requests) != 2 else Reply(status=307, headers=moved)
            )

        moved = {"location": f"{server.url}/elsewhere"}
        server.manners = manners
        records = describe(server, images, concurrency=1)
    assert [record.failure for record in records].count(None) == 2
    assert [record.failure for record in records if record.failure] == ["HTTP 307: no"]


@pytest.mark.parametrize(("refused", "tries"), [("response_format", 3), ("max_tokens", 2), ("nothing", 1)])
def test_a_form_that_is_refused_is_not_tried_again(stickers: Path, refused: str, tries: int) -> None:
    def manners(asked: Asked) -> Reply:
        return (
            Reply(status=400, error=f"no {refused}") if refused in asked.body else Reply(good_answer(asked))
        )

    with serving(manners) as server:
        records = describe(server, [stickers], concurrency=1)
    assert all(record.complete(Rules()) for record in records)
    assert server.asked.total() == 12 + tries - 1


def test_a_sticker_that_the_endpoint_refuses_fails_alone_and_does_not_change_the_form(stickers: Path) -> None:
    first: list[str] = []

    def manners(asked: Asked) -> Reply:
        first.append(asked.sticker)
        if asked.sticker == first[0]:
            return Reply(status=400, error=f"image too odd, {KEY} says")
        return Reply(good_answer(asked))

    with serving(manners) as server:
        records = describe(server, [stickers], concurrency=1)
    assert [record.failure for record in records if record.failure] == ["HTTP 400: image too odd, *** says"]
    assert "response_format" in server.requests[-1].body


def test_a_server_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    with (
        serving(lambda asked: Reply(status=502)) as server,
        pytest.raises(
            InterpreterError, match=f"left {STOP_AFTER} stickers in succession unanswered.*retry-failed"
        ),
    ):
        describe(server, [draw_stickers(tmp_path / "many", 60)], retries=0)
    assert server.asked.total() < 60


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(status=401, error=f"Incorrect API key provided: {KEY}"), "refuses the key .* OPENAI_API_KEY"),
        (Reply(status=403), "refuses the key"),
        (Reply(status=404, error="The model does not exist"), "has no model 'tiny-vl'"),
        (Reply(raw=b"<html>hello</html>", kind="text/html"), "answers with a page"),
    ],
)
def test_what_no_sticker_can_change_ends_the_run_in_one_sentence(
    stickers: Path, reply: Reply, sentence: str
) -> None:
    with serving(lambda asked: reply) as server, pytest.raises(InterpreterError, match=sentence) as error:
        describe(server, [stickers])
    assert KEY not in str(error.value)
    assert server.asked.total() <= 4


def test_a_sticker_that_is_forbidden_fails_alone_once_others_were_answered(stickers: Path) -> None:
    first: list[str] = []

    def manners(asked: Asked) -> Reply:
        first.append(asked.sticker)
        return (
            Reply(good_answer(asked)) if asked.sticker == first[0] else Reply(status=403, error="moderated")
        )

    with serving(manners) as server:
        records = describe(server, [stickers / "0000.png", stickers / "0001.png"], concurrency=1)
    assert [record.failure for record in records] == [None, "HTTP 403: moderated"]


def test_half_an_emoji_spoils_neither_texts_nor_failures(stickers: Path) -> None:
    def manners(asked: Asked) -> Reply:
        half = good_answer(asked).replace("quite", "quite \\ud83d")
        return Reply(half) if asked.sticker == first else Reply(status=400, error="no \ud83d")

    with serving() as server:
        describe(server, [stickers / "0000.png"])
        first = server.requests[0].sticker
        server.manners = manners
        described, refused = describe(server, [stickers / "0000.png", stickers / "0001.png"], concurrency=1)
    assert all("quite well" in view for view in described.views.values())
    assert refused.failure == "HTTP 400: no"
    assert all(record.model_dump_json() for record in (described, refused))


def test_redirects_are_not_followed(stickers: Path) -> None:
    with serving() as other, serving() as server:
        server.moved = Reply(status=307, headers={"location": f"{other.url}/models?key={KEY}"})
        server.manners = lambda asked: Reply(status=307, headers={"location": f"{other.url}/{KEY}"})
        with pytest.raises(InterpreterError) as of_images:
            describe(server, [stickers])
        with pytest.raises(InterpreterError) as of_models:
            asyncio.run(Endpoint(server.url, key=KEY, key_variable="OPENAI_API_KEY").open())
    assert f"redirects to {other.url}/***; name the final address" in str(of_images.value)
    assert f"redirects to {other.url}/models; name the final address" in str(of_models.value)
    assert not other.requests


def test_proxies_are_not_used_for_this_machine(stickers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy, serving() as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        describe(server, [stickers / "0000.png"])
    assert (proxy.asked.total(), server.asked.total()) == (0, 1)


def test_nothing_that_is_meant_for_another_server_is_sent(
    stickers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: secret\nAuthorization: Bearer secret")
    with serving() as server:
        describe(server, [stickers / "0000.png"])
    assert "secret" not in str(server.requests[0].headers).replace(KEY, "")
    assert KEY in str(server.requests[0].headers)


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("http://localhost:8000/v1", True),
        ("http://vllm.localhost/v1", True),
        ("http://127.1.2.3/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://10.0.0.1/v1", False),
        ("http://localhost.example.com/v1", False),
    ],
)
def test_addresses_of_this_machine_are_known(address: str, here: bool) -> None:
    assert is_this_machine(address) == here


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://user:pass-word@proxy.invalid"),
        ("HTTPS_PROXY", "garbage://pass-word"),
        ("SSL_CERT_FILE", "/nowhere/pass-word"),
    ],
)
def test_proxies_and_certificates_that_cannot_be_used_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    if value.startswith("socks5") and find_spec("socksio"):
        pytest.skip("this proxy can be used")
    monkeypatch.setenv(variable, value)
    with pytest.raises(InterpreterError, match=variable) as error:
        Endpoint("https://models.invalid/v1", "tiny-vl", key=KEY, key_variable="OPENAI_API_KEY")
    assert "pass-word" not in str(error.value)


def test_the_key_is_sent_as_bearer_and_nowhere_else(stickers: Path) -> None:
    with serving() as server:
        records = describe(server, [stickers / "0000.png"])
    headers = {name.lower(): value for name, value in server.requests[0].headers.items()}
    assert headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(server.requests[0].body)
    assert KEY not in records[0].model_dump_json()


def test_identical_images_are_one_work_and_broken_ones_fail_alone(stickers: Path, tmp_path: Path) -> None:
    (stickers / "copy.png").write_bytes((stickers / "0000.png").read_bytes())
    (stickers / "broken.png").write_bytes((stickers / "0000.png").read_bytes()[:40])
    with serving() as server:
        records = describe(server, [stickers])
    assert len(records) == 13
    assert Counter(record.failure is None for record in records) == {True: 12, False: 1}
    assert server.asked.total() == 12
    assert all(set(record.views) == set(VIEWS) for record in records if not record.failure)


def test_only_images_under_way_are_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mghft_export.interpretation import ask as module

    open_now: list[weakref.ref[Image.Image]] = []
    most = [0]
    read = module.sticker_frames

    def counted(*arguments: Any, **options: Any) -> Any:
        frames = read(*arguments, **options)
        open_now[:] = [image for image in open_now if image() is not None] + list(map(weakref.ref, frames))
        most.append(len(open_now))
        return frames

    monkeypatch.setattr(module, "sticker_frames", counted)
    with serving(lambda asked: Reply(good_answer(asked), seconds=0.002)) as server:
        describe(server, [draw_stickers(tmp_path / "many", 60)], concurrency=4)
    assert len(most) == 61
    assert 4 <= max(most) <= 8
