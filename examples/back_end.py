"""A back end that classifies stickers over HTTP. It needs only Python's own server.

    python examples/back_end.py mghft-bundle 8000
    curl --data-binary @cat.webp "http://localhost:8000/?text=%23The%20sticker%27s%20intention%20is%20to%20comfort"

It shows how one model serves many threads. For production, put the same few lines into your own framework.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import mghft_export as mghft

MOST_BYTES = 10 * 2**20
"""Largest image that the server accepts."""


def make_server(model: mghft.Model, port: int) -> ThreadingHTTPServer:
    """A server that answers each POST of an image with its emotions."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            if size > MOST_BYTES:
                return self.answer(413, {"error": f"an image may have at most {MOST_BYTES:,} bytes"})
            image = self.rfile.read(size)
            text = parse_qs(urlsplit(self.path).query).get("text", [""])[0]
            try:
                prediction = model.predict(image, text)
            except mghft.StickerError as error:  # the sender's mistake, as one sentence
                return self.answer(422, {"error": str(error)})
            return self.answer(200, {"label": prediction.label, "probabilities": prediction.probabilities})

        def answer(self, status: int, content: dict[str, object]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Log nothing."""

    return ThreadingHTTPServer(("localhost", port), Handler)


def main(bundle: str, port: str) -> None:
    """Load the model, warm it up, and serve until Ctrl-C."""
    with mghft.load(bundle) as model:
        model.warm_up()
        with make_server(model, int(port)) as server:
            print(f"listening on port {server.server_port}", flush=True)
            server.serve_forever()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:3])
    except mghft.MGHFTError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
