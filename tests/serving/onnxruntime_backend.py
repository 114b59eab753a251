"""Stands in for Triton's ONNX Runtime backend, which the wheel of pytriton lacks: the same models, run from Python.

It is a Python-based backend: Triton loads this file as `backends/onnxruntime/model.py`, for every model that names the
backend. It proves names, types, shapes and wiring, not the speed of the real backend.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        # A Python-based backend is told where the backend is; the model lies in the repository.
        repository = args["model_repository"]
        path = str(Path(repository) / args["model_version"] / "model.onnx")
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.inputs = [item["name"] for item in config["input"]]
        self.outputs = [item["name"] for item in config["output"]]

    def execute(self, requests):
        responses = []
        for request in requests:
            feeds = {
                name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs
            }
            found = self.session.run(self.outputs, feeds)
            tensors = [
                pb_utils.Tensor(name, np.ascontiguousarray(array))
                for name, array in zip(self.outputs, found, strict=True)
            ]
            responses.append(pb_utils.InferenceResponse(tensors))
        return responses
