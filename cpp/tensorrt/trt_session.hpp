// Runs one TensorRT engine on the GPU, with streams, CUDA graphs and buffers that it keeps between runs.
#pragma once

#include <NvInfer.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cuda_memory.hpp"
#include "device_preprocess.hpp"
#include "session.hpp"
#include "trt_runs.hpp"

namespace mghft {

struct TrtSessionOptions {
    bool host_code = false;             // the engine brings code for the host, as version-compatible ones do
    bool cuda_graphs = true;            // launch each set of shapes as one graph
    bool keeps_outputs = false;         // keep outputs on the device, for another session on the same stream
    const ImageEntry* image = nullptr;  // how to prepare images on the GPU; null for not at all
};

class TrtSession final : public Session {
  public:
    // `plan` is the content of an engine file; messages call it `name`. Connected sessions share a stream.
    // Throws Error if the engine does not load, or its tensors are not the graph's.
    TrtSession(const std::string& plan, const std::string& name, const GraphEntry& entry,
               std::shared_ptr<CudaStream> stream, const TrtSessionOptions& options);
    ~TrtSession() override;

    const std::vector<TensorEntry>& inputs() const override { return inputs_; }
    const std::vector<TensorEntry>& outputs() const override { return outputs_; }
    const std::vector<Profile>& profiles() const override { return profiles_; }
    void* input(std::size_t index, const Shape& shape) override;
    bool prepare_images(std::size_t index, const Shape& shape, const ImageView* images) override;
    void connect(std::size_t index, Session& source, std::size_t output) override;
    void start() override;
    void finish() override;
    const void* output(std::size_t index) const override;

  private:
    // A tensor. Its host memory is written again only after the last copy from it is done.
    struct Slot {
        Shape shape;
        PinnedMemory host;
        DeviceMemory device;
        CudaEvent copied;
        void* address = nullptr;  // on the device, in this session's or another session's memory
        bool to_upload = false;
    };

    void* reserve(DeviceMemory& memory, std::size_t size);
    void read_profiles();

    std::string name_;
    std::vector<TensorEntry> inputs_, outputs_;
    std::vector<Profile> profiles_;
    TrtSessionOptions options_;
    CudaDevice device_;
    std::shared_ptr<CudaStream> stream_;
    std::unique_ptr<nvinfer1::IRuntime> runtime_;
    std::unique_ptr<nvinfer1::ICudaEngine> engine_;
    std::optional<TrtRuns> runs_;
    std::optional<DevicePreprocessor> preprocessor_;
    std::vector<Slot> input_slots_, output_slots_;
    std::vector<Shape> shapes_;  // kept, so that a run allocates nothing
    std::vector<void*> addresses_;
};

}  // namespace mghft
