// One graph in ONNX Runtime, on the CPU or through its CUDA and TensorRT providers.
#pragma once

#include <onnxruntime_cxx_api.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "buffer.hpp"
#include "files.hpp"
#include "session.hpp"
#include "worker.hpp"

namespace mghft {

struct OrtSessionOptions {
    std::string provider = "cpu";
    int threads = 0;             // 0 for ONNX Runtime's own choice
    int longest_text = 0;        // tokens
    bool keeps_outputs = false;  // keep outputs on the provider's device, for another session
    bool own_thread = false;     // run in its own thread, so start returns at once
};

// Inputs and outputs are bound to the session's own memory, so a run with the shapes of the last one allocates nothing
// here. ONNX Runtime itself may allocate memory inside a run.
class OrtSession final : public Session {
  public:
    // `file` is the ONNX file at `path`, which ONNX Runtime opens again to map its weights.
    // Throws Error if the file cannot be loaded or changed meanwhile, or the provider cannot be used.
    OrtSession(const MappedFile& file, const std::filesystem::path& path, const GraphEntry& entry,
               const OrtSessionOptions& options);

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
        Ort::MemoryAllocation device{nullptr, nullptr, 0};
        Ort::Value value{nullptr};
        const OrtSession* source = nullptr;  // the session that computes this input, if any
        std::size_t source_output = 0;
        std::uint64_t source_version = 0;
    };

    void bind_outputs();
    void run();
    static Ort::Value tensor(const OrtMemoryInfo* memory, void* data, std::size_t bytes, const Shape& shape,
                             ElementType type);

    std::string name_;
    std::vector<TensorEntry> inputs_, outputs_;
    std::vector<Profile> profiles_;
    Ort::Session session_{nullptr};
    Ort::IoBinding binding_{nullptr};
    Ort::RunOptions run_options_;
    Ort::MemoryInfo host_;
    std::optional<Ort::MemoryInfo> device_info_;
    std::optional<Ort::Allocator> device_;
    std::vector<Slot> input_slots_, output_slots_;
    std::int64_t bound_batch_ = 0;  // the batch size that the outputs are bound for
    std::uint64_t version_ = 0;     // changes with the addresses and shapes of the outputs
    std::optional<Worker> worker_;
    bool running_ = false;
};

}  // namespace mghft
