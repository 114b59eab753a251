#include "trt_runs.hpp"

#include <algorithm>

#include "mghft/mghft.hpp"
#include "text.hpp"
#include "trt_log.hpp"

namespace mghft {

namespace {

constexpr std::size_t kMostContexts = 8;  // each context takes some megabytes beside the shared memory

nvinfer1::Dims dims_of(const Shape& shape) {
    nvinfer1::Dims dims{};
    dims.nbDims = static_cast<int32_t>(shape.rank);
    for (std::size_t index = 0; index < shape.rank; ++index) dims.d[index] = shape.sizes[index];
    return dims;
}

Shape shape_of(const nvinfer1::Dims& dims, const std::string& name) {
    require_trt(dims.nbDims >= 0 && dims.nbDims <= 4, "a tensor of more than four dimensions, " + name);
    Shape shape;
    shape.rank = static_cast<std::size_t>(dims.nbDims);
    for (std::size_t index = 0; index < shape.rank; ++index) shape.sizes[index] = dims.d[index];
    return shape;
}

}  // namespace

void require_trt(bool done, const std::string& what) {
    if (!done) {
        throw Error(text("TensorRT refuses ", what, " (", TrtLog::shared().take_error(),
                         "); build the engine again with `mghft-export trt`"));
    }
}

TrtRuns::TrtRuns(nvinfer1::ICudaEngine& engine, std::vector<std::string> inputs, std::vector<std::string> outputs,
                 bool cuda_graphs)
    : engine_(engine), inputs_(std::move(inputs)), outputs_(std::move(outputs)), cuda_graphs_(cuda_graphs) {}

TrtRun& TrtRuns::prepare(std::size_t profile, const std::vector<Shape>& inputs, cudaStream_t stream) {
    const auto known = std::find_if(runs_.begin(), runs_.end(),
                                    [&](const TrtRun& run) { return run.profile == profile && run.inputs == inputs; });
    if (known != runs_.end()) {
        runs_.splice(runs_.begin(), runs_, known);
        return runs_.front();
    }
    if (runs_.size() == kMostContexts) {
        check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");  // the oldest may still be running
        runs_.pop_back();
    }
    std::unique_ptr<nvinfer1::IExecutionContext> context(
        engine_.createExecutionContext(nvinfer1::ExecutionContextAllocationStrategy::kUSER_MANAGED));
    if (!context) {
        throw Error(text("no execution context can be made for the engine (", TrtLog::shared().take_error(),
                         "), most likely for want of GPU memory; close what else uses it, or build the engine with "
                         "smaller --batch"));
    }
    const int64_t size = engine_.getDeviceMemorySizeV2();
    context->setDeviceMemoryV2(activations_.reserve(static_cast<std::size_t>(std::max<int64_t>(size, 1))), size);
    require_trt(context->setOptimizationProfileAsync(static_cast<int32_t>(profile), stream),
                "profile " + std::to_string(profile));
    for (std::size_t index = 0; index < inputs_.size(); ++index) {
        require_trt(context->setInputShape(inputs_[index].c_str(), dims_of(inputs[index])),
                    inputs_[index] + " " + inputs[index].written());
    }
    const char* missing = nullptr;
    require_trt(context->inferShapes(1, &missing) == 0, missing == nullptr ? "the shapes" : missing);
    std::vector<Shape> output_shapes;
    for (const std::string& name : outputs_) {
        output_shapes.push_back(shape_of(context->getTensorShape(name.c_str()), name));
    }
    TrtRun& run = runs_.emplace_front();  // last, so that nothing can fail after it
    run.profile = profile;
    run.inputs = inputs;
    run.outputs = std::move(output_shapes);
    run.context = std::move(context);
    return run;
}

void TrtRuns::execute(TrtRun& run, const std::vector<void*>& addresses, cudaStream_t stream) {
    if (!std::equal(addresses.begin(), addresses.end(), run.addresses.begin(), run.addresses.end())) {
        if (run.graph.captured()) {
            check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
            run.graph.reset();
        }
        run.addresses.clear();  // if TensorRT refuses one, none counts as set
        for (std::size_t index = 0; index < addresses.size(); ++index) {
            const std::string& name = index < inputs_.size() ? inputs_[index] : outputs_[index - inputs_.size()];
            require_trt(run.context->setTensorAddress(name.c_str(), addresses[index]), "the address of " + name);
        }
        run.addresses.assign(addresses.begin(), addresses.end());
        run.warm = false;
    }
    if (cuda_graphs_ && run.capturable && run.warm && !run.graph.captured()) {
        // Some layers cannot be captured. The context stays usable, so from then on it runs without a graph.
        run.capturable = run.graph.capture(stream, [&] { return run.context->enqueueV3(stream); });
        if (!run.capturable) TrtLog::shared().take_error();  // the error is about the capture, not a later failure
    }
    if (run.graph.captured()) {
        run.graph.launch(stream);
    } else {
        enqueue(run, stream);
        run.warm = true;
    }
}

void TrtRuns::enqueue(TrtRun& run, cudaStream_t stream) {
    if (!run.context->enqueueV3(stream)) {
        throw Error(text("TensorRT could not queue the engine (", TrtLog::shared().take_error(),
                         "); build it again with `mghft-export trt`"));
    }
}

}  // namespace mghft
