"""A bundle behind Ray Serve: replicas, routing and autoscaling are Ray's; each replica has its own model."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import serve

from mghft_export.api.model import Model, load
from mghft_export.bundle import MANIFEST, load_bundle
from mghft_export.engines.trust import TRUST_ENGINES
from mghft_export.errors import MGHFTError, StickerError
from mghft_export.files.atomic import replacing_file
from mghft_export.files.hashing import sha256
from mghft_export.runtime.pipeline import Prediction
from mghft_export.serving.access_token import token_of
from mghft_export.serving.http_app import ModelFacts, http_app
from mghft_export.serving.image_limit import SERVED_PIXELS
from mghft_export.serving.infer_request import Sticker
from mghft_export.serving.serve_options import ServeOptions

APP = "mghft"
"""Name of Ray Serve's application."""

SENDING = 1.0
"""Seconds for Ray's proxy to send the last answers of replicas that have ended."""


def build_app(arguments: ServeOptions | dict[str, Any]) -> Any:
    """The application, as `serve deploy` builds it from the arguments in a configuration too."""
    options = ServeOptions.model_validate(arguments)
    deployment = serve.deployment(
        serve.ingress(lambda: _replica(options))(),
        name="stickers",
        # Requests over these wait in Ray's proxy, where they would get no status 429.
        max_ongoing_requests=2 * options.max_queue,
        max_queued_requests=2 * options.max_queue,  # more get status 503
        graceful_shutdown_timeout_s=options.timeout + 5,
        health_check_period_s=5,
        ray_actor_options={"num_gpus": options.gpus},
        **_scaling(options),
    )
    return deployment.bind()


def _scaling(options: ServeOptions) -> dict[str, Any]:
    if options.max_replicas is None or options.max_replicas == options.replicas:
        return {"num_replicas": options.replicas}
    return {
        "autoscaling_config": {
            "min_replicas": options.replicas,
            "max_replicas": options.max_replicas,
            # Two full batches keep a replica busy. A full queue must be above the target.
            "target_ongoing_requests": max(1, min(2 * options.max_batch, options.max_queue // 2)),
        }
    }


def _replica(options: ServeOptions) -> Any:
    """One replica's model behind HTTP."""
    bundle = load_bundle(Path(options.bundle))
    model = load(
        bundle,
        precision=options.precision,
        provider=options.provider,
        engine=options.engine,
        threads=options.threads or max(1, (os.cpu_count() or 1) // _most_replicas(options)),
    )
    for batch in {1, options.max_batch}:
        model.warm_up(batch)
    batched = serve.batch(
        max_batch_size=options.max_batch,
        batch_wait_timeout_s=options.queue_delay / 1e6,
        max_concurrent_batches=2,  # the images of one are read while the other runs
    )(_classifier(model, options.max_batch))
    facts = ModelFacts(
        class_names=model.class_names,
        takes_no_text=model.takes_no_text,
        trained=model.trained,
        precision=model.precision,
        version=sha256(bundle.root / MANIFEST)[:12],
        warnings=model.warnings,
        feature_width=model.feature_width,
    )
    return http_app(facts, batched, options, token_of(os.environ, options.needs_token))


def _classifier(model: Model, batch: int) -> Callable[[list[Sticker]], Any]:
    async def classify(stickers: list[Sticker]) -> list[Prediction | StickerError]:
        return await asyncio.to_thread(
            model.predict_each,
            [sticker.image for sticker in stickers],
            [sticker.text for sticker in stickers],
            features=[sticker.features for sticker in stickers],
            names=[sticker.name for sticker in stickers],
            batch=batch,
            max_pixels=SERVED_PIXELS,
        )

    return classify


def run_server(options: ServeOptions, *, host: str, port: int, on_ready: Callable[[], None]) -> None:
    """Serve on this machine until SIGTERM or SIGINT comes; requests that are under way are answered then.

    Args:
        on_ready: called once the server answers.

    Raises:
        MGHFTError: the machine has fewer GPUs than the replicas reserve, or Ray cannot start them.
    """
    stop = threading.Event()
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # send nothing to anybody
    ray.init(
        address="local",
        # Ray reserves one of these for each replica; the machine's cores are divided by `threads`.
        num_cpus=max(os.cpu_count() or 1, _most_replicas(options)),
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _node_ip_address="127.0.0.1",
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())  # after ray.init, which has a handler of its own
    try:
        _require_gpus(options)
        quiet = {"log_level": "WARNING", "enable_access_log": False}
        serve.start(http_options={"host": host, "port": port}, logging_config=quiet)
        try:
            serve.run(build_app(options), name=APP, logging_config=quiet)
        except RuntimeError as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise MGHFTError(
                f"Ray could not start the server ({reason}); its logs are in /tmp/ray/session_latest/logs/serve"
            ) from error
        on_ready()
        stop.wait()
        serve.delete(APP)  # each replica first answers what it has begun
        time.sleep(SENDING)
    finally:
        ray.shutdown()


def _require_gpus(options: ServeOptions) -> None:
    """Ray would wait for a GPU that will never come."""
    needed, found = options.gpus * options.replicas, ray.cluster_resources().get("GPU", 0)
    if needed > found:
        raise MGHFTError(
            f"the replicas reserve {needed:g} GPUs, and Ray finds {found:g}; lower --replicas or --gpus, or run on the "
            "CPU"
        )


def _most_replicas(options: ServeOptions) -> int:
    return max(options.replicas, options.max_replicas or 0)


def write_config(path: Path, options: ServeOptions, *, host: str, port: int) -> None:
    """Write the configuration that `serve deploy` starts the same application from, on a Ray cluster."""
    trusted = {name: os.environ[name] for name in (TRUST_ENGINES,) if name in os.environ}
    config = {
        "proxy_location": "EveryNode",
        "http_options": {"host": host, "port": port},
        "applications": [
            {
                "name": APP,
                "route_prefix": "/",
                "import_path": f"{__name__}:build_app",
                "args": options.model_dump(exclude_none=True),
                "runtime_env": {"env_vars": trusted},
            }
        ],
    }
    with replacing_file(path) as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
