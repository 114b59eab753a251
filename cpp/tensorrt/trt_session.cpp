#include "trt_session.hpp"

#include <algorithm>
#include <utility>

#include "mghft/mghft.hpp"
#include "text.hpp"
#include "trt_log.hpp"

namespace mghft {

namespace {

std::optional<ElementType> element_type(nvinfer1::DataType type) {
    if (type == nvinfer1::DataType::kFLOAT) return ElementType::kFloat32;
    if (type == nvinfer1::DataType::kHALF) return ElementType::kFloat16;
    if (type == nvinfer1::DataType::kINT64) return ElementType::kInt64;
    return std::nullopt;
}

std::size_t bytes_of(const TensorEntry& tensor, const Shape& shape) {
    return std::max<std::size_t>(std::size_t(shape.count()) * type_size(tensor.type), 1);
}

// Requires that the engine's tensor is the same as the graph's.
void require_tensor(const nvinfer1::ICudaEngine& engine, const TensorEntry& entry, nvinfer1::TensorIOMode mode,
                    const std::string& name) {
    bool same = engine.getTensorIOMode(entry.name.c_str()) == mode &&
                element_type(engine.getTensorDataType(entry.name.c_str())) == entry.type;
    const nvinfer1::Dims dims = engine.getTensorShape(entry.name.c_str());
    same = same && dims.nbDims == static_cast<int32_t>(entry.shape.size());
    for (std::size_t index = 0; same && index < entry.shape.size(); ++index) {
        // If the profiles allow only one value of a dimension, the engine may have it fixed.
        same = entry.shape[index] < 0 || dims.d[index] == entry.shape[index];
    }
    if (!same) {
        throw Error(text("the tensor '", entry.name, "' of ", name,
                         " is not as the manifest says; build the engine again with `mghft-export trt`"));
    }
}

}  // namespace

TrtSession::TrtSession(const std::string& plan, const std::string& name, const GraphEntry& entry,
                       std::shared_ptr<CudaStream> stream, const TrtSessionOptions& options)
    : name_(name),
      inputs_(entry.inputs),
      outputs_(entry.outputs),
      options_(options),
      stream_(std::move(stream)),
      runtime_(nvinfer1::createInferRuntime(TrtLog::shared())) {
    if (!runtime_) {
        throw Error(text("TensorRT cannot be started (", TrtLog::shared().take_error(), "); install it again"));
    }
    if (options_.host_code) runtime_->setEngineHostCodeAllowed(true);
    engine_.reset(runtime_->deserializeCudaEngine(plan.data(), plan.size()));
    if (!engine_) {
        throw Error(text("the engine ", name_, " cannot be loaded (", TrtLog::shared().take_error(),
                         "); build it on this machine with `mghft-export trt`"));
    }
    if (engine_->getNbIOTensors() != static_cast<int32_t>(inputs_.size() + outputs_.size())) {
        throw Error(text(name_, " has other inputs or outputs than the manifest says; build it again"));
    }
    std::vector<std::string> input_names, output_names;
    for (const TensorEntry& tensor : inputs_) {
        require_tensor(*engine_, tensor, nvinfer1::TensorIOMode::kINPUT, name_);
        input_names.push_back(tensor.name);
    }
    for (const TensorEntry& tensor : outputs_) {
        require_tensor(*engine_, tensor, nvinfer1::TensorIOMode::kOUTPUT, name_);
        output_names.push_back(tensor.name);
    }
    read_profiles();
    runs_.emplace(*engine_, std::move(input_names), std::move(output_names), options_.cuda_graphs);
    if (options_.image != nullptr) preprocessor_.emplace(*options_.image);
    input_slots_ = std::vector<Slot>(inputs_.size());
    output_slots_ = std::vector<Slot>(outputs_.size());
    shapes_.resize(inputs_.size());
    addresses_.resize(inputs_.size() + outputs_.size());
}

TrtSession::~TrtSession() {
    // A session's memory must not be freed while the GPU works with it. A failure of the GPU is ignored here, because a
    // destructor cannot report it.
    (void)cudaSetDevice(device_.number());
    (void)cudaStreamSynchronize(stream_->get());
}

void TrtSession::read_profiles() {
    using nvinfer1::OptProfileSelector;
    const auto shape = [&](const TensorEntry& tensor, int32_t profile, OptProfileSelector which) {
        const nvinfer1::Dims dims = engine_->getProfileShape(tensor.name.c_str(), profile, which);
        require_trt(dims.nbDims == static_cast<int32_t>(tensor.shape.size()), "the profile of " + tensor.name);
        Shape found;
        found.rank = tensor.shape.size();
        for (std::size_t index = 0; index < found.rank; ++index) found.sizes[index] = dims.d[index];
        return found;
    };
    for (int32_t number = 0; number < engine_->getNbOptimizationProfiles(); ++number) {
        Profile profile;
        for (const TensorEntry& tensor : inputs_) {
            profile.push_back({shape(tensor, number, OptProfileSelector::kMIN),
                               shape(tensor, number, OptProfileSelector::kOPT),
                               shape(tensor, number, OptProfileSelector::kMAX)});
        }
        profiles_.push_back(std::move(profile));
    }
    require_trt(!profiles_.empty(), "an engine without profiles");
}

void* TrtSession::reserve(DeviceMemory& memory, std::size_t size) {
    // Work on the stream may still use the memory that is freed.
    if (size > memory.size()) stream_->synchronize();
    return memory.reserve(size);
}

void* TrtSession::input(std::size_t index, const Shape& shape) {
    device_.use();
    Slot& slot = input_slots_[index];
    const std::size_t size = bytes_of(inputs_[index], shape);
    slot.copied.wait();
    slot.shape = shape;
    slot.address = reserve(slot.device, size);
    slot.to_upload = true;
    return slot.host.reserve(size);
}

bool TrtSession::prepare_images(std::size_t index, const Shape& shape, const ImageView* images) {
    if (!preprocessor_) return false;
    device_.use();
    Slot& slot = input_slots_[index];
    const auto batch = static_cast<std::size_t>(shape.sizes[0]);
    const std::size_t each = bytes_of(inputs_[index], shape) / batch;
    slot.shape = shape;
    slot.address = reserve(slot.device, each * batch);
    slot.to_upload = false;
    for (std::size_t number = 0; number < batch; ++number) {
        preprocessor_->write(images[number], inputs_[index].type, static_cast<char*>(slot.address) + number * each,
                             stream_->get());
    }
    return true;
}

void TrtSession::connect(std::size_t index, Session& source, std::size_t output) {
    auto* other = dynamic_cast<TrtSession*>(&source);
    if (other == nullptr || other->stream_ != stream_) {
        throw Error("an engine cannot read what another library computed; run all branches alike");
    }
    Slot& slot = input_slots_[index];
    slot.shape = other->output_slots_[output].shape;
    slot.address = other->output_slots_[output].address;
    slot.to_upload = false;
}

void TrtSession::start() {
    device_.use();
    const cudaStream_t stream = stream_->get();
    for (std::size_t index = 0; index < inputs_.size(); ++index) {
        Slot& slot = input_slots_[index];
        if (slot.to_upload) {
            check_cuda(cudaMemcpyAsync(slot.address, slot.host.data(), bytes_of(inputs_[index], slot.shape),
                                       cudaMemcpyHostToDevice, stream),
                       "cudaMemcpyAsync");
            slot.copied.record(stream);
        }
        shapes_[index] = slot.shape;
        addresses_[index] = slot.address;
    }
    TrtRun& run = runs_->prepare(choose_profile(profiles_, shapes_), shapes_, stream);
    for (std::size_t index = 0; index < outputs_.size(); ++index) {
        Slot& slot = output_slots_[index];
        slot.shape = run.outputs[index];
        slot.address = reserve(slot.device, bytes_of(outputs_[index], slot.shape));
        addresses_[inputs_.size() + index] = slot.address;
    }
    runs_->execute(run, addresses_, stream);
    if (options_.keeps_outputs) return;
    for (std::size_t index = 0; index < outputs_.size(); ++index) {
        Slot& slot = output_slots_[index];
        const std::size_t size = bytes_of(outputs_[index], slot.shape);
        check_cuda(cudaMemcpyAsync(slot.host.reserve(size), slot.address, size, cudaMemcpyDeviceToHost, stream),
                   "cudaMemcpyAsync");
    }
}

void TrtSession::finish() {
    device_.use();
    stream_->synchronize();
}

const void* TrtSession::output(std::size_t index) const {
    return output_slots_[index].host.data();
}

}  // namespace mghft
