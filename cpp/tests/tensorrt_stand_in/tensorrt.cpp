// Engines that compute on the host what the branches of ../stand_in_session.hpp do. A plan is the name of a branch.
#include <NvInfer.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "queue.hpp"
#include "stand_in.hpp"

namespace {

using nvinfer1::DataType;
using nvinfer1::Dims;
using nvinfer1::TensorIOMode;

constexpr int64_t kLeast = 1, kBest = 2, kMost = 4, kLongest = 16;

struct Tensor {
    std::string name;
    TensorIOMode mode;
    DataType type;
    std::vector<int64_t> shape;  // -1 where dynamic
};

const std::map<std::string, std::vector<Tensor>> kEngines = {
    {"vision",
     {{"image", TensorIOMode::kINPUT, DataType::kFLOAT, {-1, 3, 32, 32}},
      {"tokens", TensorIOMode::kOUTPUT, DataType::kFLOAT, {-1, 2}}}},
    {"text",
     {{"input_ids", TensorIOMode::kINPUT, DataType::kINT64, {-1, -1}},
      {"attention_mask", TensorIOMode::kINPUT, DataType::kINT64, {-1, -1}},
      {"text_features", TensorIOMode::kOUTPUT, DataType::kFLOAT, {-1, 2}}}},
    {"fusion",
     {{"tokens", TensorIOMode::kINPUT, DataType::kFLOAT, {-1, 2}},
      {"text_features", TensorIOMode::kINPUT, DataType::kFLOAT, {-1, 4, 2}},
      {"logits", TensorIOMode::kOUTPUT, DataType::kFLOAT, {-1, 2}}}},
};

Dims dims_of(const std::vector<int64_t>& shape, int64_t batch, int64_t length) {
    Dims dims{};
    dims.nbDims = static_cast<int32_t>(shape.size());
    for (std::size_t index = 0; index < shape.size(); ++index) {
        dims.d[index] = shape[index] >= 0 ? shape[index] : index == 0 ? batch : length;
    }
    return dims;
}

struct Run {
    std::map<std::string, Dims> shapes;
    std::map<std::string, void*> addresses;

    int64_t batch() const { return shapes.begin()->second.d[0]; }
    template <typename Value>
    Value* at(const std::string& name) const {
        return static_cast<Value*>(addresses.at(name));
    }
};

void compute_vision(const Run& run) {
    for (int64_t row = 0; row < run.batch(); ++row) {
        run.at<float>("tokens")[row * 2] = run.at<float>("image")[row * 3 * 32 * 32];
        run.at<float>("tokens")[row * 2 + 1] = 1;
    }
}

void compute_text(const Run& run) {
    const int64_t length = run.shapes.at("input_ids").d[1];
    for (int64_t row = 0; row < run.batch(); ++row) {
        const int64_t* mask = run.at<int64_t>("attention_mask") + row * length;
        run.at<float>("text_features")[row * 2] = static_cast<float>(run.at<int64_t>("input_ids")[row * length + 1]);
        run.at<float>("text_features")[row * 2 + 1] = static_cast<float>(std::count(mask, mask + length, 1));
    }
}

void compute_fusion(const Run& run) {
    for (int64_t row = 0; row < run.batch(); ++row) {
        float sum = 0;
        for (int64_t index = 0; index < 8; ++index) sum += run.at<float>("text_features")[row * 8 + index];
        run.at<float>("logits")[row * 2] = run.at<float>("tokens")[row * 2];
        run.at<float>("logits")[row * 2 + 1] = sum;
    }
}

// All runtimes write to the logger of the first, as long as there are any.
struct Loggers {
    nvinfer1::ILogger* first = nullptr;
    int runtimes = 0;
} loggers;

class Context final : public nvinfer1::IExecutionContext {
  public:
    explicit Context(const std::string& name) : name_(name) { ++stand_in::counts.contexts; }

    void setDeviceMemoryV2(void* memory, int64_t) noexcept override { has_memory_ = memory != nullptr; }
    bool setOptimizationProfileAsync(int32_t profile, cudaStream_t) noexcept override { return profile == 0; }
    bool setInputShape(char const* name, Dims const& dims) noexcept override {
        run_.shapes[name] = dims;
        return dims.d[0] >= kLeast && dims.d[0] <= kMost;
    }
    int32_t inferShapes(int32_t, char const**) noexcept override { return 0; }
    Dims getTensorShape(char const* name) const noexcept override {
        if (stand_in::outputs_are_odd) return Dims{5, {}};
        for (const Tensor& tensor : kEngines.at(name_)) {
            if (tensor.name == name) return dims_of(tensor.shape, run_.batch(), kLongest);
        }
        return {};
    }
    bool setTensorAddress(char const* name, void* data) noexcept override {
        run_.addresses[name] = data;
        return data != nullptr;
    }
    bool enqueueV3(cudaStream_t stream) noexcept override {
        if (stand_in::run_fails) {
            loggers.first->log(nvinfer1::ILogger::Severity::kERROR, "a kernel failed to launch");
            return false;
        }
        if (!has_memory_ || run_.addresses.size() != kEngines.at(name_).size()) return false;
        const auto compute = name_ == "vision" ? compute_vision : name_ == "text" ? compute_text : compute_fusion;
        stand_in::queue(stream, [compute, run = run_] { compute(run); });
        ++stand_in::counts.plain_runs;
        return true;
    }

  private:
    std::string name_;
    Run run_;
    bool has_memory_ = false;
};

class Engine final : public nvinfer1::ICudaEngine {
  public:
    explicit Engine(const std::string& name) : name_(name), tensors_(kEngines.at(name)) {}

    int32_t getNbIOTensors() const noexcept override { return static_cast<int32_t>(tensors_.size()); }
    TensorIOMode getTensorIOMode(char const* name) const noexcept override { return find(name).mode; }
    DataType getTensorDataType(char const* name) const noexcept override { return find(name).type; }
    Dims getTensorShape(char const* name) const noexcept override { return dims_of(find(name).shape, -1, -1); }
    int32_t getNbOptimizationProfiles() const noexcept override { return 1; }
    Dims getProfileShape(char const* name, int32_t, nvinfer1::OptProfileSelector which) const noexcept override {
        using nvinfer1::OptProfileSelector;
        const int64_t batch = which == OptProfileSelector::kMIN   ? kLeast
                              : which == OptProfileSelector::kOPT ? kBest
                                                                  : kMost;
        return dims_of(find(name).shape, batch, which == OptProfileSelector::kMIN ? 2 : kLongest);
    }
    int64_t getDeviceMemorySizeV2() const noexcept override { return 1024; }
    nvinfer1::IExecutionContext* createExecutionContext(
        nvinfer1::ExecutionContextAllocationStrategy) noexcept override {
        return new Context(name_);
    }

  private:
    const Tensor& find(const std::string& name) const {
        static const Tensor none{"", TensorIOMode::kNONE, DataType::kINT8, {}};
        const auto found =
            std::find_if(tensors_.begin(), tensors_.end(), [&](const Tensor& tensor) { return tensor.name == name; });
        return found == tensors_.end() ? none : *found;
    }

    std::string name_;
    std::vector<Tensor> tensors_;
};

class Runtime final : public nvinfer1::IRuntime {
  public:
    explicit Runtime(nvinfer1::ILogger& logger) {
        if (loggers.runtimes++ == 0) loggers.first = &logger;
    }
    ~Runtime() noexcept override { --loggers.runtimes; }

    nvinfer1::ICudaEngine* deserializeCudaEngine(void const* blob, std::size_t size) noexcept override {
        const std::string name(static_cast<const char*>(blob), size);
        if (kEngines.count(name) != 0) return new Engine(name);
        loggers.first->log(nvinfer1::ILogger::Severity::kERROR, "magic tag does not match");
        return nullptr;
    }
    void setEngineHostCodeAllowed(bool) noexcept override {}
};

}  // namespace

nvinfer1::IRuntime* nvinfer1::createInferRuntime(ILogger& logger) noexcept {
    return new Runtime(logger);
}

extern "C" int32_t getInferLibVersion() noexcept {
    return NV_TENSORRT_MAJOR * 10000 + NV_TENSORRT_MINOR * 100 + NV_TENSORRT_PATCH;
}
