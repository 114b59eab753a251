"""The errors a user can cause, each one sentence that says what to do.

The command line prints the sentence and exits with status 2; a library user catches :class:`MGHFTError`.
"""


class MGHFTError(Exception):
    """Base of every error whose message is meant for people."""


class CheckpointError(MGHFTError):
    """A checkpoint cannot be read, or does not fit the model."""


class StickerError(MGHFTError, ValueError):
    """A sticker's image or text cannot be used."""


class DataError(MGHFTError):
    """A data set cannot be read or has bad rows."""


class BundleError(MGHFTError):
    """A bundle is missing, damaged, or of another version."""


class ExportError(MGHFTError):
    """An exported graph is not what it must be."""


class EngineError(MGHFTError):
    """An engine cannot be built, or does not fit this machine or bundle."""


class InterpreterError(MGHFTError):
    """The multimodal model that describes stickers cannot be reached or run, or its journal cannot be used."""
