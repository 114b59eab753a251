"""Reasons why a machine cannot run a row. Each begins with what the machine lacks."""

NO_GPU = "no GPU"
NO_OPENVINO = "no OpenVINO: pip install 'mghft-export[openvino]'"
