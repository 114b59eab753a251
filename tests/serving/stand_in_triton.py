"""Stands in for Triton's `triton_python_backend_utils`: other models run in this process, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

TRITONSERVER_MEMORY_CPU = "cpu"


class TritonError:
    INTERNAL, INVALID_ARG = range(2)

    def __init__(self, message, code=INTERNAL):
        self._message, self._code = message, code

    def code(self):
        return self._code

    def message(self):
        return self._message


class Tensor:
    def __init__(self, name, array):
        self._name, self._array = name, array

    def name(self):
        return self._name

    def as_numpy(self):
        return self._array

    def shape(self):
        return list(self._array.shape)


class PreferredMemory:
    def __init__(self, memory):
        assert memory == TRITONSERVER_MEMORY_CPU


class InferenceResponse:
    def __init__(self, output_tensors, error=None):
        self.tensors, self._error = {item.name(): item for item in output_tensors}, error

    def has_error(self):
        return self._error is not None

    def error(self):
        return self._error


def get_output_tensor_by_name(response, name):
    return response.tensors.get(name)


class Request:
    """What a client sent."""

    def __init__(self, **arrays):
        self.tensors = {name: Tensor(name, array) for name, array in arrays.items() if array is not None}


def get_input_tensor_by_name(request, name):
    return request.tensors.get(name)


class Server:
    """The models of a repository. `runs` has the model and the batch of each run."""

    def __init__(self, repository: Path):
        self.repository, self.runs, self.broken = repository, [], set()
        self._sessions = {}

    def utils(self):
        """The module."""
        server = self

        class InferenceRequest:
            def __init__(
                self, model_name, requested_output_names, inputs, model_version=-1, preferred_memory=None
            ):
                self.model, self.wanted, self.inputs = model_name, requested_output_names, inputs
                self.version = model_version

            def exec(self):
                return server.run(self.model, self.version, self.wanted, self.inputs)

        names = ("TritonError", "Tensor", "PreferredMemory", "InferenceResponse")
        names += ("get_output_tensor_by_name", "get_input_tensor_by_name", "TRITONSERVER_MEMORY_CPU")
        module = type("utils", (), {name: staticmethod(globals()[name]) for name in names[4:6]})
        for name in (*names[:4], names[6]):
            setattr(module, name, globals()[name])
        module.InferenceRequest = InferenceRequest
        return module

    def run(self, model, version, wanted, inputs):
        if model in self.broken:
            return InferenceResponse([], TritonError("out of memory"))
        if model not in self._sessions:
            path = self.repository / model / str(version) / "model.onnx"
            self._sessions[model] = onnxruntime.InferenceSession(
                str(path), providers=["CPUExecutionProvider"]
            )
        feeds = {item.name(): item.as_numpy() for item in inputs}
        self.runs.append((model, len(next(iter(feeds.values())))))
        found = self._sessions[model].run(wanted, feeds)
        return InferenceResponse([Tensor(name, array) for name, array in zip(wanted, found, strict=True)])
