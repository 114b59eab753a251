# mghft-export on a Jetson with JetPack 6 (TensorRT 10.3, CUDA 12.6), without torch. Not run on a device.
#
#   docker build -f docker/jetson.Dockerfile -t mghft-jetson .
#   docker run --rm --runtime nvidia -v "$PWD/bundle:/bundle" -v mghft-cache:/cache mghft-jetson trt /bundle --fp16
#
# The C++ runner alone, without Python (docs/cpp.md). Build it on a Jetson. Docker's default runtime must be nvidia: it
# brings libraries that TensorRT's are linked to. Unpack ONNX Runtime's release in this folder first:
#
#   docker build -f docker/jetson.Dockerfile --target cpp --build-arg ONNXRUNTIME=onnxruntime-linux-aarch64 -t mghft-run .
FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0 AS cpp
ARG ONNXRUNTIME=onnxruntime-linux-aarch64
RUN apt-get update \
 && apt-get install --yes --no-install-recommends cmake doctest-dev g++ libavif-dev libcli11-dev libjpeg-dev \
      liblcms2-dev libpng-dev libssl-dev libtiff-dev libwebp-dev libzip-dev make nlohmann-json3-dev pkg-config \
      zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
COPY ${ONNXRUNTIME} /opt/onnxruntime
COPY CMakeLists.txt /src/
COPY cpp /src/cpp
COPY mghft_export/__init__.py /src/mghft_export/__init__.py
RUN cmake -S /src -B /build -DONNXRUNTIME_ROOT=/opt/onnxruntime -DMGHFT_TENSORRT=ON -DMGHFT_CUDA_ARCHITECTURES=87 \
      -DCMAKE_CUDA_COMPILER=/usr/local/cuda/bin/nvcc \
 && cmake --build /build --parallel \
 && ctest --test-dir /build --output-on-failure -E cuda \
 && cmake --install /build --prefix /usr/local \
 && ldconfig
ENTRYPOINT ["mghft-run"]
CMD ["--help"]

FROM nvcr.io/nvidia/l4t-jetpack:r36.4.0

RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-pip python3-venv \
 && rm -rf /var/lib/apt/lists/*

# JetPack brings TensorRT's Python package. The one on PyPI is for other machines.
RUN python3 -m venv --system-site-packages /opt/mghft

COPY pyproject.toml README.md LICENSE /src/
COPY mghft_export /src/mghft_export
COPY calibration/default /src/calibration/default
RUN /opt/mghft/bin/pip install --no-cache-dir --upgrade pip \
 && /opt/mghft/bin/pip install --no-cache-dir /src "cuda-bindings==12.8.*" "polygraphy>=0.53.4"

# The volume keeps TensorRT's timing cache from one container to the next.
ENV XDG_CACHE_HOME=/cache
VOLUME /cache

ENTRYPOINT ["/opt/mghft/bin/mghft-export"]
CMD ["--help"]
