"""A vision-language model of transformers on this machine: LLaVA, Qwen-VL, SmolVLM and their like."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mghft_export.errors import InterpreterError
from mghft_export.interpretation.protocol import Answer, Request, Unanswered
from mghft_export.optional_packages import optional_module

_NO_MEMORY = ("can't allocate memory", "not enough memory")


class LocalModel:
    """An image-text-to-text model; it answers a batch at a time, greedily, so that answers can be repeated.

    Args:
        name: a folder with the model, or its name on the hub, from which its files (and no others) are fetched.
        device: PyTorch's device; by default a GPU if there is one.
        batch: stickers that are described together.
        max_tokens: most tokens of an answer.

    Raises:
        InterpreterError: transformers is not installed, or the model is missing, of another kind, or too large.
    """

    concurrency = 1

    def __init__(
        self, name: str, *, device: str | None = None, batch: int = 8, max_tokens: int = 1024
    ) -> None:
        self._torch = optional_module("torch", "the interpreter", InterpreterError)
        transformers = optional_module("transformers", "the interpreter", InterpreterError)
        optional_module("torchvision", "the interpreter", InterpreterError)  # processors of images need it
        folder = Path(name).expanduser()
        self.model = folder.resolve().name if folder.is_dir() else name
        self.batch, self._max_tokens = batch, max_tokens
        self._device = device or self._best_device()
        where = str(folder) if folder.is_dir() else name
        try:
            self._processor = transformers.AutoProcessor.from_pretrained(where)
            network = transformers.AutoModelForImageTextToText.from_pretrained(where, dtype="auto")
            self._network = network.to(self._device).eval()
        except (OSError, ImportError) as error:
            raise InterpreterError(
                f"there is no model {name!r} here and it cannot be fetched; give the folder of a model, "
                "with config.json, weights and processor"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise InterpreterError(
                f"{name!r} is no image-text-to-text model of transformers; "
                "give one such as LLaVA, Qwen-VL or SmolVLM"
            ) from error
        except RuntimeError as error:
            raise InterpreterError(
                f"the model {name!r} cannot be put on {self._device} ({_first_line(error)}); "
                "choose another --device"
            ) from error
        except Exception as error:  # each format's library has its own errors for damaged weights
            raise InterpreterError(
                f"the files of the model {name!r} are damaged ({_first_line(error)}); fetch it again"
            ) from error
        self._tokenizer: Any = getattr(self._processor, "tokenizer", None)
        if self._tokenizer is None or not getattr(self._processor, "chat_template", None):
            raise InterpreterError(
                f"{name!r} has no chat template; give a model that was tuned to follow instructions"
            )
        self._tokenizer.padding_side = "left"  # so that every answer begins where its prompt ends
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token

    async def open(self) -> None:
        """Does nothing: the model is loaded already."""

    async def answer(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        """Answer a batch in a thread, so that the event loop keeps running."""
        return await asyncio.to_thread(self._answer_batch, requests)

    async def close(self) -> None:
        """Does nothing: the memory is freed with the object."""

    def _answer_batch(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        """Answer a batch; if a processor or template refuses it, answer each request by itself."""
        try:
            return self._generate(requests)
        except Exception as error:  # each model's processor and template fails in its own way
            if self._is_out_of_memory(error):
                raise InterpreterError(
                    f"{len(requests)} stickers at once do not fit on {self._device}; choose a smaller --batch"
                ) from error
            if len(requests) == 1:
                return [Unanswered(_first_line(error))]
        return [answer for request in requests for answer in self._answer_batch([request])]

    def _is_out_of_memory(self, error: Exception) -> bool:
        said = str(error)  # the CPU's allocator raises a plain RuntimeError
        return isinstance(error, (self._torch.OutOfMemoryError, MemoryError)) or (
            isinstance(error, RuntimeError) and any(words in said for words in _NO_MEMORY)
        )

    def _generate(self, requests: Sequence[Request]) -> list[Answer | Unanswered]:
        inputs = self._inputs(requests).to(self._device, dtype=self._network.dtype)
        length = inputs["input_ids"].shape[1]
        with self._torch.inference_mode():
            outputs = self._network.generate(
                **inputs,
                max_new_tokens=self._max_tokens,
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id,
            )
        prompts = inputs["attention_mask"].sum(1).tolist()
        return [
            self._answer(output[length:].tolist(), tokens)
            for output, tokens in zip(outputs, prompts, strict=True)
        ]

    def _inputs(self, requests: Sequence[Request]) -> Any:
        texts = []
        for request in requests:
            content: list[dict[str, str]] = [{"type": "image"} for _ in request.frames]
            content.append({"type": "text", "text": request.prompt})
            messages = [{"role": "user", "content": content}]
            texts.append(self._processor.apply_chat_template(messages, add_generation_prompt=True))
        begin = self._tokenizer.bos_token
        return self._processor(
            text=texts,
            images=[list(request.frames) for request in requests],
            padding=True,
            return_tensors="pt",
            # A template that writes the first token itself must not get it twice.
            add_special_tokens=not (begin and texts[0].startswith(begin)),
        )

    def _answer(self, tokens: list[int], prompt_tokens: int) -> Answer:
        ends = self._network.generation_config.eos_token_id
        ends = {ends} if isinstance(ends, int) else set(ends or ())
        count = next((n for n, token in enumerate(tokens, start=1) if token in ends), len(tokens))
        text = self._tokenizer.decode(tokens[:count], skip_special_tokens=True)
        cut = count == self._max_tokens and tokens[count - 1] not in ends
        return Answer(text, tokens_in=int(prompt_tokens), tokens_out=count, cut=cut)

    def _best_device(self) -> str:
        if self._torch.cuda.is_available():
            return "cuda"
        return "mps" if self._torch.backends.mps.is_available() else "cpu"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
