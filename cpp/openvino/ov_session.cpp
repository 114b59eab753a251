#include "ov_session.hpp"

#include <algorithm>
#include <new>
#include <openvino/core/version.hpp>
#include <openvino/frontend/manager.hpp>
#include <openvino/runtime/properties.hpp>
#include <sstream>
#include <unordered_set>
#include <utility>

#include "graph_tensors.hpp"
#include "mghft/mghft.hpp"
#include "onnx_weights.hpp"
#include "text.hpp"

namespace mghft {

namespace {

// Plug-ins are loaded once; sessions of one process share them.
ov::Core& core() {
    static ov::Core shared;
    return shared;
}

ov::element::Type ov_type(ElementType type) {
    switch (type) {
        case ElementType::kFloat32:
            return ov::element::f32;
        case ElementType::kFloat16:
            return ov::element::f16;
        case ElementType::kInt64:
            return ov::element::i64;
    }
    return ov::element::dynamic;
}

std::optional<ElementType> element_type(const ov::element::Type& type) {
    for (const ElementType known : {ElementType::kFloat32, ElementType::kFloat16, ElementType::kInt64}) {
        if (ov_type(known) == type) return known;
    }
    return std::nullopt;
}

ov::Tensor tensor(ElementType type, const Shape& shape, void* memory) {
    const ov::Shape sizes(shape.sizes.begin(), shape.sizes.begin() + std::ptrdiff_t(shape.rank));
    return {ov_type(type), sizes, memory};
}

// A tensor may have more names than the graph gives it, because optimisation merges equal tensors.
std::string name_of(const std::unordered_set<std::string>& names, const std::string& expected) {
    if (names.empty() || names.count(expected) > 0) return names.empty() ? "" : expected;
    return *std::min_element(names.begin(), names.end());
}

std::vector<FoundTensor> described(const std::vector<ov::Output<const ov::Node>>& ports,
                                   const std::vector<TensorEntry>& expected) {
    std::vector<FoundTensor> found;
    for (const ov::Output<const ov::Node>& port : ports) {
        FoundTensor tensor;
        const std::size_t index = found.size();
        tensor.name = name_of(port.get_names(), index < expected.size() ? expected[index].name : "");
        for (const ov::Dimension& size : port.get_partial_shape()) {
            tensor.shape.push_back(size.is_static() ? size.get_length() : -1);
        }
        tensor.type = element_type(port.get_element_type());
        found.push_back(std::move(tensor));
    }
    return found;
}

// The reason in an OpenVINO message, which begins with places in OpenVINO's code and headings and marks the failure
// with dashes.
std::string reason(const std::exception& error) {
    const auto begins = [](const std::string& line, const char* with) { return line.rfind(with, 0) == 0; };
    std::istringstream said(error.what());
    std::string first;
    for (std::string line; std::getline(said, line);) {
        if (line.empty() || line.back() == ':' || begins(line, "Exception from") || begins(line, "Check ")) continue;
        if (begins(line, "-- ")) return line.substr(3);
        if (first.empty()) first = line;
    }
    return first.empty() ? "no reason given" : first;
}

// Maps the weights from the file at `path`, at the places that the structure names. Weights inside the model would be
// copied twice.
std::shared_ptr<ov::Model> read(const std::string& structure, const std::filesystem::path& path) {
    constexpr bool kMapsWeights = true;
    std::istringstream stream(structure);
    ov::frontend::FrontEndManager readers;
    const ov::frontend::FrontEnd::Ptr reader = readers.load_by_framework("onnx");
    return reader->convert(reader->load(static_cast<std::istream*>(&stream), path.string(), kMapsWeights));
}

ov::AnyMap settings(const OvSessionOptions& options) {
    ov::AnyMap found = {
        ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
        // By default OpenVINO computes in bfloat16 on every CPU that has it.
        ov::hint::inference_precision(options.bfloat16 ? ov::element::bf16 : ov::element::f32),
    };
    if (options.threads > 0) found.insert(ov::inference_num_threads(options.threads));
    return found;
}

}  // namespace

OvSession::OvSession(const MappedFile& graph, const std::filesystem::path& path, const GraphEntry& entry,
                     const OvSessionOptions& options)
    : name_(path.string()), inputs_(entry.inputs), outputs_(entry.outputs), options_(options) {
    // The path is resolved because OpenVINO takes weights behind a link to be outside the folder.
    const std::filesystem::path file = std::filesystem::weakly_canonical(path);
    const auto structure = without_weights(graph.content(), file.filename().string());
    if (!structure) throw Error(text(name_, " is no ONNX graph; export the bundle again"));
    try {
        model_ = core().compile_model(read(*structure, file), "CPU", settings(options));
        request_ = model_.create_infer_request();
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception& error) {
        throw Error(text("OpenVINO cannot load ", name_, ": ", reason(error), "; export the bundle again"));
    }
    if (state_of(file) != graph.state()) throw Error(text(name_, " was changed while it was loaded; run again"));
    require_tensors(name_, inputs_, described(model_.inputs(), inputs_));
    require_tensors(name_, outputs_, described(model_.outputs(), outputs_));
    input_slots_.resize(inputs_.size());
    output_slots_.resize(outputs_.size());
}

OvSession::~OvSession() {
    try {
        finish();  // a run that is still going writes to our memory
    } catch (const std::exception&) {
        // The session is being destroyed, so nobody needs the error.
    }
}

void* OvSession::input(std::size_t index, const Shape& shape) {
    Slot& slot = input_slots_[index];
    if (slot.shape == shape && slot.source == nullptr && slot.value) return slot.host.data();
    const TensorEntry& entry = inputs_[index];
    slot.value = {};  // if the allocation below fails, nothing points to freed memory
    void* memory = slot.host.reserve(std::size_t(shape.count()) * type_size(entry.type));
    slot.value = tensor(entry.type, shape, memory);
    slot.shape = shape;
    slot.source = nullptr;
    request_.set_input_tensor(index, slot.value);
    return memory;
}

void OvSession::connect(std::size_t index, Session& source, std::size_t output) {
    auto* other = dynamic_cast<OvSession*>(&source);
    if (other == nullptr) throw Error("OpenVINO cannot read what another runtime computed; run all branches alike");
    other->finish();
    Slot& slot = input_slots_[index];
    if (slot.source == other && slot.source_output == output && slot.source_version == other->version_) return;
    const Slot& from = other->output_slots_[output];
    slot.source = other;
    slot.source_output = output;
    slot.source_version = other->version_;
    slot.shape = from.shape;
    request_.set_input_tensor(index, from.value);
}

void OvSession::bind_outputs() {
    const std::int64_t batch = input_slots_[0].shape.sizes[0];
    if (batch == bound_batch_) return;
    bound_batch_ = 0;  // if an allocation fails, the next run binds all again
    for (std::size_t index = 0; index < outputs_.size(); ++index) {
        Slot& slot = output_slots_[index];
        const TensorEntry& entry = outputs_[index];
        slot.shape = shape_of_batch(entry, batch);
        void* memory = slot.host.reserve(std::size_t(slot.shape.count()) * type_size(entry.type));
        slot.value = tensor(entry.type, slot.shape, memory);
        request_.set_output_tensor(index, slot.value);
    }
    bound_batch_ = batch;
    ++version_;
}

void OvSession::start() {
    bind_outputs();
    try {
        if (options_.overlaps) {
            request_.start_async();
            running_ = true;
        } else {
            request_.infer();
        }
    } catch (const std::exception& error) {
        throw Error(text("OpenVINO cannot run ", name_, ": ", reason(error)));
    }
}

void OvSession::finish() {
    if (!std::exchange(running_, false)) return;
    try {
        request_.wait();
    } catch (const std::exception& error) {
        throw Error(text("OpenVINO cannot run ", name_, ": ", reason(error)));
    }
}

const void* OvSession::output(std::size_t index) const {
    return output_slots_[index].host.data();
}

std::string openvino_version() {
    return ov::get_openvino_version().buildNumber;
}

}  // namespace mghft
