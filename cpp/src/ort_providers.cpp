#include "ort_providers.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "cache_folder.hpp"
#include "mghft/mghft.hpp"
#include "text.hpp"

namespace mghft {

namespace {

struct Sizes {
    const char* which;
    std::int64_t batch;
    bool least_length;
};

constexpr Sizes kProfile[] = {{"min", 1, true}, {"opt", 8, false}, {"max", 32, false}};

template <typename Provider>
void update(OrtStatus* (*change)(Provider*, const char* const*, const char* const*, std::size_t), Provider* provider,
            const std::map<std::string, std::string>& options) {
    std::vector<const char*> keys, values;
    for (const auto& [key, value] : options) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
    }
    Ort::ThrowOnError(change(provider, keys.data(), values.data(), keys.size()));
}

void add_cuda(Ort::SessionOptions& options) {
    const OrtApi& api = Ort::GetApi();
    OrtCUDAProviderOptionsV2* made = nullptr;
    Ort::ThrowOnError(api.CreateCUDAProviderOptions(&made));
    const std::unique_ptr<OrtCUDAProviderOptionsV2, decltype(api.ReleaseCUDAProviderOptions)> cuda(
        made, api.ReleaseCUDAProviderOptions);
    // TF32 keeps 10 bits of a product's operands, but the token selection depends on smaller differences.
    update(api.UpdateCUDAProviderOptions, cuda.get(), {{"use_tf32", "0"}});
    options.AppendExecutionProvider_CUDA_V2(*cuda);
}

void add_tensorrt(Ort::SessionOptions& options, const std::vector<TensorEntry>& inputs, int longest_text) {
    const OrtApi& api = Ort::GetApi();
    OrtTensorRTProviderOptionsV2* made = nullptr;
    Ort::ThrowOnError(api.CreateTensorRTProviderOptions(&made));
    const std::unique_ptr<OrtTensorRTProviderOptionsV2, decltype(api.ReleaseTensorRTProviderOptions)> tensorrt(
        made, api.ReleaseTensorRTProviderOptions);
    update(api.UpdateTensorRTProviderOptions, tensorrt.get(), tensorrt_options(inputs, longest_text));
    options.AppendExecutionProvider_TensorRT_V2(*tensorrt);
}

}  // namespace

std::map<std::string, std::string> tensorrt_options(const std::vector<TensorEntry>& inputs, int longest_text) {
    const std::filesystem::path base = cache_folder().value_or(std::filesystem::temp_directory_path() / "mghft-export");
    const std::string folder = base / "onnxruntime-tensorrt";
    // Without a precision here, the provider uses the graph's own types, as they were exported.
    std::map<std::string, std::string> options = {
        {"trt_engine_cache_enable", "1"},
        {"trt_engine_cache_path", folder},
        {"trt_timing_cache_enable", "1"},
        {"trt_timing_cache_path", folder},
    };
    for (const Sizes& sizes : kProfile) {
        std::string shapes;
        for (const TensorEntry& input : inputs) {
            shapes += (shapes.empty() ? "" : ",") + input.name + ":";
            for (std::size_t index = 0; index < input.shape.size(); ++index) {
                std::int64_t size = input.shape[index];
                if (size < 0) size = index == 0 ? sizes.batch : sizes.least_length ? 2 : longest_text;
                shapes += (index == 0 ? "" : "x") + std::to_string(size);
            }
        }
        options[std::string("trt_profile_") + sizes.which + "_shapes"] = shapes;
    }
    return options;
}

void add_provider(Ort::SessionOptions& options, const std::string& provider, const std::vector<TensorEntry>& inputs,
                  int longest_text) {
    static const std::map<std::string, std::string> kProviders = {
        {"cpu", "CPUExecutionProvider"},
        {"cuda", "CUDAExecutionProvider"},
        {"tensorrt", "TensorrtExecutionProvider"},
    };
    const auto named = kProviders.find(provider);
    if (named == kProviders.end()) {
        throw Error(text("provider '", provider, "' is not known; use one of cpu, openvino, openvino-bf16, cuda, tensorrt"));
    }
    if (provider == "cpu") return;
    const std::vector<std::string> available = Ort::GetAvailableProviders();
    if (std::find(available.begin(), available.end(), named->second) == available.end()) {
        throw Error(text("this ONNX Runtime has no ", named->second,
                         "; build with the library of onnxruntime-gpu, or use --provider cpu"));
    }
    try {
        if (provider == "tensorrt") add_tensorrt(options, inputs, longest_text);
        add_cuda(options);
    } catch (const Ort::Exception& error) {
        const std::string said = error.what();
        throw Error(text("ONNX Runtime cannot use ", named->second, " (", said.substr(0, said.find('\n')),
                         "); check the driver and its libraries, or use --provider cpu"));
    }
}

}  // namespace mghft
