"""Files on the Hugging Face hub, named `hf://owner/name[@revision][/file]`.

huggingface_hub fetches them, with its cache, its tokens and its offline mode.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit
from urllib.request import getproxies

from mghft_export.errors import CheckpointError

SCHEME = "hf:"
WEIGHTS_FILE = "model.safetensors"
"""The file that is read where a place names only the repository."""

_PATIENCE = 5.0
"""Seconds to wait for a connection to the hub to open."""


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of models."""

    repository: str
    """`owner/name`; the oldest models have only a name."""
    file: str = WEIGHTS_FILE
    revision: str | None = None
    """A branch, tag or commit; None is the main branch."""

    @property
    def place(self) -> str:
        """The `hf://` place as a person types it."""
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"{SCHEME}//{self.repository}{revision}" + (
            f"/{self.file}" if self.file != WEIGHTS_FILE else ""
        )

    def __str__(self) -> str:
        return f"{self.file} of {self.repository}" + (f"@{self.revision}" if self.revision else "")


def is_hub_place(place: str | Path) -> bool:
    """Whether a place begins with `hf://`, or with `hf:/`, which a `Path` makes of it."""
    return str(place).replace("\\", "/").startswith(SCHEME + "/")


def parse_hub_place(place: str | Path) -> HubFile:
    """Take `hf://owner/name[@revision][/file]` apart; a revision's slashes are written `%2F`.

    Raises:
        CheckpointError: it does not name an owner and a repository.
    """
    owner, *rest = str(place).replace("\\", "/").removeprefix(SCHEME).strip("/").split("/")
    name, _, revision = rest[0].partition("@") if rest else ("", "", "")
    if not owner or not name or "@" in owner or (rest[0].endswith("@")):
        raise CheckpointError(
            f"{place} names no repository; write hf://owner/name or hf://owner/name@revision/file"
        )
    return HubFile(f"{owner}/{name}", "/".join(rest[1:]) or WEIGHTS_FILE, unquote(revision) or None)


def local_file(place: Path) -> Path:
    """A local path as it is; for an `hf://` place, its file in the hub's cache, with the `.json` beside it if any.

    Raises:
        CheckpointError: as :func:`fetch`.
    """
    if not is_hub_place(place):
        return place
    wanted = parse_hub_place(place)
    found = fetch(wanted)
    if found.suffix == ".safetensors":
        # Older checkpoints have their description in a file beside them.
        beside = HubFile(
            wanted.repository, str(PurePosixPath(wanted.file).with_suffix(".json")), wanted.revision
        )
        fetch_optional(beside)
    return found


def fetch(wanted: HubFile, what_else: str = "") -> Path:
    """Download a file into the hub's cache, unless it is there already, and return its path.

    Args:
        what_else: what the user can give instead; the error message says so.

    Raises:
        CheckpointError: the repository, revision or file does not exist or may not be read, the hub cannot be reached,
            or huggingface_hub is not installed.
    """
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ModuleNotFoundError as error:
        raise CheckpointError(
            f"{wanted} needs the package huggingface_hub; install it with: pip install huggingface_hub"
        ) from error
    instead = f"; {what_else}" if what_else else "; or give a local file"
    try:
        kept = huggingface_hub.try_to_load_from_cache(
            wanted.repository, wanted.file, revision=wanted.revision
        )
        reason = _unreachable()
        if reason is None:
            return Path(
                huggingface_hub.hf_hub_download(wanted.repository, wanted.file, revision=wanted.revision)
            )
        if isinstance(kept, str):
            return Path(kept)
        raise CheckpointError(f"{wanted} is not in the Hugging Face cache, and {reason}{instead}")
    except CheckpointError:
        raise
    except errors.HFValidationError as error:
        raise CheckpointError(
            f"{wanted} is no name of a repository on the Hugging Face hub{instead}"
        ) from error
    except errors.GatedRepoError as error:
        raise CheckpointError(
            f"{wanted} is open only to people whom its owner lets in; ask on its page, then run `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise CheckpointError(
            f"there is no repository {wanted.repository} on the Hugging Face hub, or it is private: "
            f"check the name, or run `hf auth login`{instead}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(f"{wanted.repository} has no revision {wanted.revision}{instead}") from error
    except errors.EntryNotFoundError as error:
        raise CheckpointError(
            f"{wanted.repository} has no file {wanted.file}; name one: hf://{wanted.repository}/FILE"
        ) from error
    except Exception as error:  # the network fails in many ways
        raise CheckpointError(f"cannot get {wanted} from the Hugging Face hub ({error}){instead}") from error


def cached_commit(path: Path) -> str | None:
    """The commit of a file in the hub's cache, which has a folder `snapshots/COMMIT` for each; else None."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-2] else None


def fetch_optional(wanted: HubFile) -> None:
    """Bring a file of a repository into the cache if the repository has it."""
    import huggingface_hub

    place = (wanted.repository, wanted.file)
    # The cache also remembers that a repository does not have a file; the answer is then not None.
    if (
        huggingface_hub.try_to_load_from_cache(*place, revision=wanted.revision) is None
        and not _unreachable()
    ):
        # An error here is ignored: the code that reads the file reports what is missing.
        with contextlib.suppress(Exception):
            huggingface_hub.hf_hub_download(*place, revision=wanted.revision)


def _unreachable() -> str | None:
    """Why nothing can be downloaded, or None.

    It tests the connection itself, because huggingface_hub would retry for a minute. Behind a proxy it tests nothing:
    only the proxy knows whether the hub can be reached.
    """
    import huggingface_hub

    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE allows no download"
    if any(scheme in getproxies() for scheme in ("http", "https", "all")):
        return None
    address = urlsplit(huggingface_hub.constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((str(address.hostname), port), timeout=_PATIENCE).close()
    except OSError:
        return f"{address.hostname} cannot be reached"
    return None
