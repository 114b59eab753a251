"""What a server answers over HTTP: a page for people, `/predict`, and the Open Inference Protocol (v2)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, File, Form, HTTPException, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from mghft_export import __version__
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.runtime.pipeline import Prediction
from mghft_export.serving.infer_request import JSON_LENGTH, Sticker, read_request, write_answer
from mghft_export.serving.serve_options import ServeOptions

MODEL = "mghft"
"""The model's name, as in a Triton repository."""

OPEN_PATHS = {"/", "/openapi.json", "/v2/health/live", "/v2/health/ready"}
"""What is answered without a token: the page, the description of the interface, and what a load balancer asks."""

Classify = Callable[[Sticker], Awaitable[Prediction | StickerError]]


class ModelFacts(BaseModel):
    """What clients are told of the model; the answer of `/info`."""

    class_names: tuple[str, ...]
    takes_no_text: bool
    trained: bool
    precision: str
    version: str
    """Names the bundle that answers: the first digits of its manifest's SHA-256."""
    warnings: tuple[str, ...]
    feature_width: int


class Answer(BaseModel):
    """The answer of `/predict`."""

    label: str
    probabilities: dict[str, float]
    version: str
    milliseconds: float
    """Time from the end of the upload to the answer."""


def http_app(facts: ModelFacts, classify: Classify, options: ServeOptions, token: str | None) -> FastAPI:
    """The application.

    Args:
        classify: classifies one sticker; the calls of many requests run at the same time.
        options: the limits: `max_batch`, `max_queue`, `timeout` and `max_body`.
        token: what clients must send as `Authorization: Bearer TOKEN`, or None for no token.
    """
    # FastAPI's pages at /docs and /redoc load their programs from elsewhere. /openapi.json says the same.
    app = FastAPI(title="mghft-export", version=__version__, docs_url=None, redoc_url=None)
    working = 0

    async def classified(stickers: Sequence[Sticker]) -> list[Prediction | StickerError]:
        """Classify the stickers of one request within the limits."""
        nonlocal working
        if working + len(stickers) > max(options.max_queue, len(stickers)):
            raise HTTPException(
                429, f"{working} stickers are waiting; try again in a second", {"Retry-After": "1"}
            )
        working += len(stickers)
        try:
            return list(
                await asyncio.wait_for(
                    asyncio.gather(*(classify(sticker) for sticker in stickers)), options.timeout
                )
            )
        except asyncio.TimeoutError as error:
            raise HTTPException(504, f"no answer within {options.timeout:g} seconds; try again") from error
        finally:
            working -= len(stickers)

    page = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": _content_policy(page),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    async def show_page() -> Response:
        return HTMLResponse(page, headers=headers)

    async def info() -> ModelFacts:
        return facts

    async def predict(
        image: Annotated[UploadFile, File(description="The sticker's file: PNG, WebP, GIF, JPEG, ...")],
        text: Annotated[str | None, Form(description="The sticker's text.")] = None,
    ) -> Answer:
        """Classify one sticker."""
        content = await image.read()
        started = time.perf_counter()
        (found,) = await classified([Sticker(content, text)])
        if isinstance(found, StickerError):
            raise found
        milliseconds = 1000 * (time.perf_counter() - started)
        return Answer(
            label=found.label,
            probabilities=found.probabilities,
            version=facts.version,
            milliseconds=milliseconds,
        )

    async def infer(request: Request) -> Response:
        asked = read_request(await request.body(), request.headers.get(JSON_LENGTH), most=options.max_batch)
        found = await classified(asked.stickers)
        if len(found) == 1 and isinstance(found[0], StickerError):
            raise found[0]
        body, described = write_answer(
            asked, found, model=MODEL, class_names=facts.class_names, version=facts.version
        )
        return Response(body, headers=described)

    async def healthy() -> Response:
        return Response()

    async def server() -> dict[str, Any]:
        return {"name": "mghft-export", "version": __version__, "extensions": ["binary_tensor_data"]}

    async def model() -> dict[str, Any]:
        return _metadata(facts)

    async def config() -> dict[str, Any]:
        names = {"string_value": json.dumps(facts.class_names)}
        return {"name": MODEL, "max_batch_size": options.max_batch, "parameters": {"class_names": names}}

    app.add_api_route("/", show_page, include_in_schema=False)
    app.add_api_route("/info", info, summary="What the model is.")
    app.add_api_route("/predict", predict, methods=["POST"], summary="Classify one sticker.")
    app.add_api_route("/v2", server, summary="What the server is.")
    for path in ("/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}/ready"):
        app.add_api_route(path, healthy, summary="Status 200 if it is.")
    app.add_api_route(f"/v2/models/{MODEL}", model, summary="The model's inputs and outputs.")
    app.add_api_route(f"/v2/models/{MODEL}/config", config, summary="Its classes and its largest batch.")
    for path in (f"/v2/models/{MODEL}/infer", f"/v2/models/{MODEL}/versions/1/infer"):
        app.add_api_route(
            path, infer, methods=["POST"], summary="Classify stickers (Open Inference Protocol)."
        )
    app.add_exception_handler(StickerError, _refused)
    app.add_exception_handler(MGHFTError, _failed)
    app.add_exception_handler(Exception, _crashed)
    app.add_exception_handler(RequestValidationError, _no_form)
    app.add_exception_handler(StarletteHTTPException, _http_error)
    app.add_middleware(_limited, most=options.max_body, timeout=options.timeout, token=token)
    return app


def _metadata(facts: ModelFacts) -> dict[str, Any]:
    def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": [-1, *shape]}

    return {
        "name": MODEL,
        "versions": ["1"],
        "platform": "mghft-export",
        "inputs": [
            tensor("image", "BYTES", 1),
            tensor("text", "BYTES", 1),
            tensor("text_features", "FP32", 4, facts.feature_width),
        ],
        "outputs": [
            tensor("label", "BYTES", 1),
            tensor("probabilities", "FP32", len(facts.class_names)),
            tensor("error", "BYTES", 1),
            tensor("version", "BYTES", 1),
        ],
    }


def _content_policy(page: str) -> str:
    """The Content-Security-Policy under which only the page's own style and script run."""

    def digest(tag: str) -> str:
        content = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(
            f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'"
            for part in content
        )

    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src 'self' blob:; "
        f"connect-src 'self'; style-src {digest('style')}; script-src {digest('script')}"
    )


def _limited(app: Any, most: int, timeout: float, token: str | None) -> Any:
    """Middleware: refuse requests without the token, bodies over `most` bytes, and bodies that stop coming."""

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"authorization", b"")
        if (
            token is not None
            and scope["path"] not in OPEN_PATHS
            and not hmac.compare_digest(
                given.removeprefix(b"Bearer ").removeprefix(b"bearer "), token.encode()
            )
        ):
            message = "send the server's token as `Authorization: Bearer TOKEN`"
            refusal = JSONResponse({"error": message}, 401, {"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        length = headers.get(b"content-length", b"0")
        if not re.fullmatch(b"[0-9]{1,12}", length) or int(length) > most:
            await _too_long(most)(scope, receive, send)
            return
        got, complete = 0, False

        async def counted() -> Any:
            """A body in chunks has no length in its headers; and a client may stop in the middle of its body."""
            nonlocal got, complete
            try:
                message = await asyncio.wait_for(receive(), None if complete else timeout)
            except asyncio.TimeoutError as error:
                raise HTTPException(408, f"the body did not come within {timeout:g} seconds") from error
            got += len(message.get("body", b""))
            complete = complete or not message.get("more_body", False)
            if got > most:
                raise HTTPException(413, _too_long_text(most))
            return message

        await app(scope, counted, send)

    return limited


def _too_long_text(most: int) -> str:
    return f"the request's body is over {most / 1e6:g} MB; send less"


def _too_long(most: int) -> JSONResponse:
    return JSONResponse({"error": _too_long_text(most)}, 413)


async def _refused(request: Request, error: Exception) -> Response:
    """The client sent something wrong."""
    return JSONResponse({"error": str(error)}, 400)


async def _failed(request: Request, error: Exception) -> Response:
    """The model failed."""
    return JSONResponse({"error": str(error)}, 500)


async def _crashed(request: Request, error: Exception) -> Response:
    """A fault of the server; the log has its traceback."""
    return JSONResponse({"error": f"the server failed ({type(error).__name__}); its log says why"}, 500)


async def _no_form(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = str(first["loc"][-1])
    return JSONResponse(
        {
            "error": f"the form's field {field!r} is wrong or missing; send the file as `image`, and the text as `text`"
        },
        400,
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)
