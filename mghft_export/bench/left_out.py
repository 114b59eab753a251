"""Why a machine is none for a row; each begins with what the machine lacks."""

NO_GPU = "no GPU"
NO_OPENVINO = "no OpenVINO: pip install 'mghft-export[openvino]'"
