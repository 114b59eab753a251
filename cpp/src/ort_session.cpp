#include "ort_session.hpp"

#include <utility>

#include "graph_tensors.hpp"
#include "mghft/mghft.hpp"
#include "onnx_weights.hpp"
#include "ort_providers.hpp"
#include "text.hpp"

namespace mghft {

namespace {

// ONNX Runtime prints only fatal errors. Other errors are thrown, and this program reports them once.
Ort::Env& environment() {
    if (OrtGetApiBase()->GetApi(ORT_API_VERSION) == nullptr) {
        throw Error(text("ONNX Runtime ", OrtGetApiBase()->GetVersionString(),
                         " is older than the headers of this build; install 1.", ORT_API_VERSION, " or later"));
    }
    static Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "mghft");
    return env;
}

std::string first_line(const std::string& said) {
    return said.substr(0, said.find('\n'));
}

ONNXTensorElementDataType ort_type(ElementType type) {
    switch (type) {
        case ElementType::kFloat32:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
        case ElementType::kFloat16:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16;
        case ElementType::kInt64:
            return ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;
    }
    return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

std::optional<ElementType> element_type(ONNXTensorElementDataType type) {
    for (const ElementType known : {ElementType::kFloat32, ElementType::kFloat16, ElementType::kInt64}) {
        if (ort_type(known) == type) return known;
    }
    return std::nullopt;
}

FoundTensor described(const std::string& name, const Ort::TypeInfo& found) {
    if (found.GetONNXType() != ONNX_TYPE_TENSOR) return {name, {}, std::nullopt};
    const auto tensor = found.GetTensorTypeAndShapeInfo();
    return {name, tensor.GetShape(), element_type(tensor.GetElementType())};
}

}  // namespace

OrtSession::OrtSession(const MappedFile& file, const std::filesystem::path& path, const GraphEntry& entry,
                       const OrtSessionOptions& options)
    : name_(path.string()),
      inputs_(entry.inputs),
      outputs_(entry.outputs),
      host_(Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault)) {
    environment();  // providers log as soon as they are added
    Ort::SessionOptions settings;
    settings.SetLogSeverityLevel(ORT_LOGGING_LEVEL_FATAL);
    if (options.threads > 0) settings.SetIntraOpNumThreads(options.threads);
    // Without this, the threads of one branch keep spinning after its run and slow down the next branch.
    settings.AddConfigEntry("session.force_spinning_stop", "1");
    // This stops them from spinning for some 20 ms after a session is made, while other sessions are being made.
    settings.AddConfigEntry("session.intra_op.spin_duration_us", "1000");
    add_provider(settings, options.provider, inputs_, options.longest_text);
    std::string_view graph = file.content();
    std::optional<std::string> structure;
    if (options.provider == "cpu") {  // other providers copy weights to their device, or pass the whole graph on
        structure = without_weights(graph, path.filename().string());
        if (!structure) throw Error(text(name_, " is no ONNX graph; export the bundle again"));
        settings.AddConfigEntry("session.model_external_initializers_file_folder_path",
                                std::filesystem::absolute(path).parent_path().c_str());
        graph = *structure;
    }
    try {
        session_ = Ort::Session(environment(), graph.data(), graph.size(), settings);
        binding_ = Ort::IoBinding(session_);
        if (options.keeps_outputs && options.provider != "cpu") {
            device_info_.emplace("Cuda", OrtDeviceAllocator, 0, OrtMemTypeDefault);
            device_.emplace(session_, *device_info_);
        }
    } catch (const Ort::Exception& error) {
        throw Error(
            text("ONNX Runtime cannot load ", name_, ": ", first_line(error.what()), "; export the bundle again"));
    }
    // ONNX Runtime opened the file by its name, which may by now belong to another file.
    if (state_of(path) != file.state()) throw Error(text(name_, " was changed while it was loaded; run again"));
    Ort::AllocatorWithDefaultOptions allocator;
    std::vector<FoundTensor> found_inputs, found_outputs;
    for (std::size_t index = 0; index < session_.GetInputCount(); ++index) {
        found_inputs.push_back(
            described(session_.GetInputNameAllocated(index, allocator).get(), session_.GetInputTypeInfo(index)));
    }
    for (std::size_t index = 0; index < session_.GetOutputCount(); ++index) {
        found_outputs.push_back(
            described(session_.GetOutputNameAllocated(index, allocator).get(), session_.GetOutputTypeInfo(index)));
    }
    require_tensors(name_, inputs_, found_inputs);
    require_tensors(name_, outputs_, found_outputs);
    input_slots_.resize(inputs_.size());
    output_slots_.resize(outputs_.size());
    if (options.own_thread) worker_.emplace([](void* self) { static_cast<OrtSession*>(self)->run(); }, this);
}

Ort::Value OrtSession::tensor(const OrtMemoryInfo* memory, void* data, std::size_t bytes, const Shape& shape,
                              ElementType type) {
    return Ort::Value::CreateTensor(memory, data, bytes, shape.sizes.data(), shape.rank, ort_type(type));
}

void* OrtSession::input(std::size_t index, const Shape& shape) {
    Slot& slot = input_slots_[index];
    if (slot.shape == shape && slot.source == nullptr && slot.value) return slot.host.data();
    const ElementType type = inputs_[index].type;
    const std::size_t bytes = std::size_t(shape.count()) * type_size(type);
    slot.value = Ort::Value{nullptr};  // if the allocation below fails, nothing points to freed memory
    void* memory = slot.host.reserve(bytes);
    slot.value = tensor(host_, memory, bytes, shape, type);
    slot.shape = shape;
    slot.source = nullptr;
    binding_.BindInput(inputs_[index].name.c_str(), slot.value);
    return memory;
}

void OrtSession::connect(std::size_t index, Session& source, std::size_t output) {
    auto* other = dynamic_cast<OrtSession*>(&source);
    if (other == nullptr) throw Error("ONNX Runtime cannot read what an engine computed; run all branches alike");
    other->finish();
    Slot& slot = input_slots_[index];
    if (slot.source == other && slot.source_output == output && slot.source_version == other->version_) return;
    const Slot& from = other->output_slots_[output];
    slot.source = other;
    slot.source_output = output;
    slot.source_version = other->version_;
    slot.shape = from.shape;
    binding_.BindInput(inputs_[index].name.c_str(), from.value);
}

void OrtSession::bind_outputs() {
    const std::int64_t batch = input_slots_[0].shape.sizes[0];
    if (batch == bound_batch_) return;
    bound_batch_ = 0;  // if an allocation fails, the next run binds all again
    for (std::size_t index = 0; index < outputs_.size(); ++index) {
        Slot& slot = output_slots_[index];
        const TensorEntry& entry = outputs_[index];
        slot.shape = shape_of_batch(entry, batch);
        const std::size_t bytes = std::size_t(slot.shape.count()) * type_size(entry.type);
        if (device_) {
            if (bytes > slot.device.size()) slot.device = device_->GetAllocation(bytes);
            slot.value = tensor(*device_info_, slot.device.get(), bytes, slot.shape, entry.type);
        } else {
            slot.value = tensor(host_, slot.host.reserve(bytes), bytes, slot.shape, entry.type);
        }
        binding_.BindOutput(entry.name.c_str(), slot.value);
    }
    bound_batch_ = batch;
    ++version_;
}

void OrtSession::start() {
    bind_outputs();
    if (!worker_) {
        run();
        return;
    }
    running_ = true;
    worker_->start();
}

void OrtSession::finish() {
    if (std::exchange(running_, false)) worker_->finish();
}

void OrtSession::run() {
    try {
        session_.Run(run_options_, binding_);
    } catch (const Ort::Exception& error) {
        throw Error(text("ONNX Runtime cannot run ", name_, ": ", first_line(error.what())));
    }
}

const void* OrtSession::output(std::size_t index) const {
    return output_slots_[index].host.data();
}

}  // namespace mghft
