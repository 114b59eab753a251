"""A real HTTP server that speaks the part of the OpenAI protocol that the interpreter uses, and its bad manners."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEYS = ("intention", "style", "main_role", "gesture")


@dataclass
class Asked:
    """One request, as the server understands it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    number: int
    """Of the requests about this sticker, from 1."""

    @property
    def images(self) -> list[bytes]:
        content = self.body["messages"][0]["content"]
        urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
        return [base64.b64decode(url.partition(",")[2]) for url in urls]

    @property
    def prompt(self) -> str:
        content = self.body["messages"][0]["content"]
        return next(part["text"] for part in content if part["type"] == "text")

    @property
    def keys(self) -> list[str]:
        """What is asked for, as the prompt's template says it."""
        return [key for key in KEYS if f'"{key}": "..."' in self.prompt]

    @property
    def sticker(self) -> str:
        return hashlib.sha256(b"".join(self.images)).hexdigest()


@dataclass
class Reply:
    """What the server sends."""

    text: str | None = None
    """Of a completion."""
    status: int = 200
    error: str = "no"
    raw: bytes | None = None
    """Instead of any JSON."""
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0
    seconds_a_byte: float = 0
    """Of the body."""
    finish: str = "stop"
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    )
    hang_up: bool = False


def good_view(key: str, sticker: str) -> str:
    """Words that differ from sticker to sticker and fulfil all rules."""
    return f"In view of {key.replace('_', ' ')} this one shows picture number {sticker[:12]} quite well."


def good_answer(asked: Asked) -> str:
    return json.dumps({key: good_view(key, asked.sticker) for key in asked.keys})


Manners = Callable[[Asked], Reply]


class ChatServer(ThreadingHTTPServer):
    """Counts what it is asked; answers as its manners say."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, manners: Manners, models: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.manners, self.models = manners, models
        self.moved: Reply | None = None
        """Instead of the list of models."""
        self.lock = threading.Lock()
        self.asked: Counter[str] = Counter()
        """Requests by sticker."""
        self.described: Counter[str] = Counter()
        """Completions by sticker."""
        self.requests: list[Asked] = []
        self.keep = True
        """Whether requests are kept; a thousand of them need not be."""
        self.under_way = 0
        self.most_under_way = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients and manners break; the tests see what comes of them."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ChatServer

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.server.moved is not None:
            self._send(self.server.moved.status, b"", self.server.moved)
            return
        self._send(
            200, {"object": "list", "data": [{"id": name, "object": "model"} for name in self.server.models]}
        )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        asked = Asked(self.path, dict(self.headers), body, 0)
        server = self.server
        with server.lock:
            server.asked[asked.sticker] += 1
            asked.number = server.asked[asked.sticker]
            server.under_way += 1
            server.most_under_way = max(server.most_under_way, server.under_way)
            if server.keep:
                server.requests.append(asked)
        try:
            self._reply(asked, server.manners(asked))
        finally:
            with server.lock:
                server.under_way -= 1

    def _reply(self, asked: Asked, reply: Reply) -> None:
        time.sleep(reply.seconds)
        if reply.hang_up:
            self.close_connection = True
            self.connection.close()
        elif reply.raw is not None:
            self._send(reply.status, reply.raw, reply)
        elif reply.status != 200:
            self._send(
                reply.status, {"error": {"message": reply.error, "type": "error", "code": None}}, reply
            )
        else:
            with self.server.lock:
                self.server.described[asked.sticker] += 1
            message = {"role": "assistant", "content": reply.text}
            completion: dict[str, Any] = {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 0,
                "model": asked.body["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
            }
            if reply.usage is not None:
                completion["usage"] = reply.usage
            self._send(200, completion, reply)

    def _send(self, status: int, content: object, reply: Reply | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", reply.kind if reply else "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in (reply.headers if reply else {}).items():
                self.send_header(name, value)
            self.end_headers()
            if reply is not None and reply.seconds_a_byte:
                for number in range(len(data)):
                    self.wfile.write(data[number : number + 1])
                    time.sleep(reply.seconds_a_byte)
                return
            self.wfile.write(data)
        except OSError:  # the client was killed
            self.close_connection = True


@contextmanager
def serving(
    manners: Manners = lambda asked: Reply(good_answer(asked)), models: tuple[str, ...] = ("tiny-vl",)
) -> Iterator[ChatServer]:
    """A server on a free port of this machine, while the block runs."""
    server = ChatServer(manners, models)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def without_escapes(text: str) -> str:
    """What a terminal shows."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
