#include "trt_branches.hpp"

#include <NvInferVersion.h>
#include <cuda_runtime_api.h>

#include "text.hpp"
#include "trt_session.hpp"

namespace mghft {

namespace {

// The loaded library must have the headers' version. Only the headers have the fourth number.
std::string tensorrt_version() {
    if (getInferLibVersion() != NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH) {
        throw Error(text("this program was built with TensorRT ", NV_TENSORRT_MAJOR, ".", NV_TENSORRT_MINOR, ".",
                         NV_TENSORRT_PATCH, ", and another version is loaded (", getInferLibVersion(),
                         "); build it again with -DTensorRT_ROOT of the one that is installed"));
    }
    return text(NV_TENSORRT_MAJOR, ".", NV_TENSORRT_MINOR, ".", NV_TENSORRT_PATCH, ".", NV_TENSORRT_BUILD);
}

Gpu find_gpu() {
    int device = 0;
    cudaDeviceProp properties{};
    cudaError_t error = cudaGetDevice(&device);
    if (error == cudaSuccess) error = cudaGetDeviceProperties(&properties, device);
    if (error != cudaSuccess) {
        throw Error(text("running an engine needs an NVIDIA GPU, and none can be used here (",
                         cudaGetErrorString(error), "); leave out --engine to run with ONNX Runtime"));
    }
    std::size_t free = 0, memory = 0;
    check_cuda(cudaMemGetInfo(&free, &memory), "cudaMemGetInfo");
    return {properties.name, properties.major * 10 + properties.minor, properties.multiProcessorCount,
            std::int64_t(memory)};
}

}  // namespace

Branches open_engines(const Bundle& bundle, const EngineFolder& folder, const Options& options) {
    if (folder.backend != "tensorrt") {
        throw Error(text(folder.path.string(),
                         " was built with TensorRT-RTX, which this program does not run; build "
                         "with `mghft-export trt --backend tensorrt`"));
    }
    if (folder.strip_weights) {
        throw Error(text(folder.path.string(),
                         " has engines without weights, which this program does not run; build "
                         "them without --strip-weights"));
    }
    check_version(folder, "tensorrt", tensorrt_version());
    check_trust(folder);
    check_host_code(folder);
    check_gpu(folder, find_gpu());
    const auto vision_stream = std::make_shared<CudaStream>();
    const auto text_stream = options.overlap == Overlap::kOff ? vision_stream : std::make_shared<CudaStream>();
    const auto open = [&](const char* branch, const std::shared_ptr<CudaStream>& stream) {
        TrtSessionOptions settings;
        settings.host_code = folder.version_compatible;
        if (branch == std::string("vision")) {
            settings.keeps_outputs = true;
            settings.image = &bundle.manifest.image;
        }
        return std::make_unique<TrtSession>(folder.content(branch), text(folder.path.string(), "/", branch, ".engine"),
                                            bundle.graph(branch, folder.precision), stream, settings);
    };
    Branches branches;
    branches.vision = open("vision", vision_stream);
    branches.text = open("text", text_stream);
    branches.fusion = open("fusion", vision_stream);
    return branches;
}

}  // namespace mghft
