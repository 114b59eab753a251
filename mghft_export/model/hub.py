"""Files on the Hugging Face hub, by `hf://owner/name[@revision][/file]`.

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
"""The file of a repository that is read where none is named."""

_PATIENCE = 5.0
"""Seconds for a connection to the hub to open."""


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of models."""

    repository: str
    """`owner/name`, or a name alone as the oldest models have."""
    file: str = WEIGHTS_FILE
    revision: str | None = None
    """A branch, tag or commit; None is the main branch."""

    @property
    def place(self) -> str:
        """As a person types it."""
        revision = f"@{quote(self.revision, safe='')}" if self.revision else ""
        return f"{SCHEME}//{self.repository}{revision}" + (
            f"/{self.file}" if self.file != WEIGHTS_FILE else ""
        )

    def __str__(self) -> str:
        return f"{self.file} of {self.repository}" + (f"@{self.revision}" if self.revision else "")


def is_hub_place(place: str | Path) -> bool:
    """Whether a place begins with `hf://`, also as a path, which keeps one of the two slashes."""
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
    """A path as it is, or the file in the hub's cache that an `hf://` place names, with its `.json` where it has one.

    Raises:
        CheckpointError: as :func:`fetch`.
    """
    if not is_hub_place(place):
        return place
    wanted = parse_hub_place(place)
    found = fetch(wanted)
    if found.suffix == ".safetensors":
        # Checkpoints of before have their description beside them.
        beside = HubFile(
            wanted.repository, str(PurePosixPath(wanted.file).with_suffix(".json")), wanted.revision
        )
        fetch_optional(beside)
    return found


def fetch(wanted: HubFile, what_else: str = "") -> Path:
    """A file's place in the hub's cache, to which it is downloaded where it is not there yet.

    Args:
        what_else: what a person can give instead, for the sentence that says that it cannot be had.

    Raises:
        CheckpointError: there is no such repository, revision or file, it may not be read, the hub cannot be reached,
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
    """The commit that a file in the hub's cache is of; the cache has a folder `snapshots/COMMIT` for each."""
    parts = path.parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-2] else None


def fetch_optional(wanted: HubFile) -> None:
    """Bring a file into the cache, beside another of its repository, where there is one."""
    import huggingface_hub

    place = (wanted.repository, wanted.file)
    # A file that the repository was asked for and does not have is remembered as such.
    if (
        huggingface_hub.try_to_load_from_cache(*place, revision=wanted.revision) is None
        and not _unreachable()
    ):
        # What the file would have said is missed, and named, where it is read.
        with contextlib.suppress(Exception):
            huggingface_hub.hf_hub_download(*place, revision=wanted.revision)


def _unreachable() -> str | None:
    """Why nothing can be downloaded, found out at once: huggingface_hub goes on trying for a minute.

    Behind a proxy only the proxy knows, so there it is left to try.
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
