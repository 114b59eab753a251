// One graph in OpenVINO, on the CPU.
#pragma once

#include <filesystem>
#include <openvino/runtime/core.hpp>
#include <string>

#include "buffer.hpp"
#include "files.hpp"
#include "session.hpp"

namespace mghft {

struct OvSessionOptions {
    int threads = 0;        // 0 for OpenVINO's own choice
    bool overlaps = false;  // start returns at once
    bool bfloat16 = false;  // compute the graph's float32 parts in bfloat16; INT8 products stay INT8
};

// OpenVINO reads and writes the session's own memory for inputs and outputs, so a run with the shapes of the last one
// allocates nothing here. OpenVINO itself may allocate memory inside a run.
class OvSession final : public Session {
  public:
    // `graph` is the ONNX file at `path`.
    // Throws Error if it cannot be loaded, is not at `path` any more, or its tensors are not the manifest's.
    OvSession(const MappedFile& graph, const std::filesystem::path& path, const GraphEntry& entry,
              const OvSessionOptions& options);
    ~OvSession() override;

    const std::vector<TensorEntry>& inputs() const override { return inputs_; }
    const std::vector<TensorEntry>& outputs() const override { return outputs_; }
    const std::vector<Profile>& profiles() const override { return profiles_; }
    void* input(std::size_t index, const Shape& shape) override;
    void connect(std::size_t index, Session& source, std::size_t output) override;
    void start() override;
    void finish() override;
    const void* output(std::size_t index) const override;

  private:
    struct Slot {
        Shape shape;
        Buffer host;
        ov::Tensor value;
        const OvSession* source = nullptr;  // the session that computes this input, if any
        std::size_t source_output = 0;
        std::uint64_t source_version = 0;
    };

    void bind_outputs();

    std::string name_;
    std::vector<TensorEntry> inputs_, outputs_;
    std::vector<Profile> profiles_;
    OvSessionOptions options_;
    ov::CompiledModel model_;
    ov::InferRequest request_;
    std::vector<Slot> input_slots_, output_slots_;
    std::int64_t bound_batch_ = 0;  // the batch size that the outputs are bound for
    std::uint64_t version_ = 0;     // changes with the addresses and shapes of the outputs
    bool running_ = false;
};

// "2026.4.1-..."
std::string openvino_version();

}  // namespace mghft
