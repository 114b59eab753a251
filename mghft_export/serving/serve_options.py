"""What `mghft-export serve` is told, and what a Ray cluster's configuration repeats."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MEGABYTE = 1_000_000


class ServeOptions(BaseModel):
    """How a bundle is served. Each replica is a process that loads the bundle once.

    Attributes:
        bundle: folder of the bundle, on every machine of a cluster.
        precision: which of its graphs run.
        provider: what runs them.
        engine: engines that run instead: a folder, or a name in the bundle's `engines/`.
        replicas: processes at the start, and the fewest later.
        max_replicas: the most processes; Ray starts more of them under load.
        threads: CPU threads of one replica; by default the cores are divided among the replicas.
        gpus: GPUs of one replica, for Ray's placement; a share such as 0.5 lets replicas have one GPU together.
        max_batch: maximum stickers of one run, and of one request.
        queue_delay: microseconds that a request waits for others to run with.
        max_queue: stickers that one replica works on or keeps waiting. Further requests get status 429.
        timeout: seconds until a request gets status 504.
        max_body: bytes of a request's body. Longer bodies get status 413.
        needs_token: refuse to start without a token in the environment variable `MGHFT_TOKEN`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str
    precision: str = "fp32"
    provider: str = "cpu"
    engine: str | None = None
    replicas: int = Field(default=1, ge=1)
    max_replicas: int | None = Field(default=None, ge=1)
    threads: int | None = Field(default=None, ge=1)
    gpus: float = Field(default=0, ge=0)
    max_batch: int = Field(default=8, ge=1)
    queue_delay: int = Field(default=2000, ge=0)
    max_queue: int = Field(default=256, ge=1)
    timeout: float = Field(default=30, gt=0)
    max_body: int = Field(default=20 * MEGABYTE, ge=1)
    needs_token: bool = False
