// Execution contexts of one engine, one for each set of input shapes, and their CUDA graphs.
//
// A graph holds the shapes and addresses that it was captured with, and changing a context invalidates the graph that
// was captured from it. So each set of shapes has its own context. The contexts share one block of activation memory,
// because a session runs one of them at a time.
#pragma once

#include <NvInfer.h>

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "cuda_memory.hpp"
#include "shape.hpp"

namespace mghft {

// A captured run.
class CudaGraph {
  public:
    // Records what `enqueue` queues on the stream, without running it; false if it cannot be captured.
    template <typename Enqueue>
    bool capture(cudaStream_t stream, Enqueue enqueue) {
        // Other threads may allocate memory meanwhile: the limits of a capture apply only to this thread.
        if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) return failed();
        const bool queued = enqueue();
        cudaGraph_t graph = nullptr;
        if (cudaStreamEndCapture(stream, &graph) != cudaSuccess || !queued) {
            if (graph != nullptr) (void)cudaGraphDestroy(graph);
            return failed();
        }
        const bool made = cudaGraphInstantiate(&executable_, graph, 0) == cudaSuccess;
        (void)cudaGraphDestroy(graph);
        return made || failed();
    }

    CudaGraph() = default;
    ~CudaGraph() { reset(); }
    CudaGraph(const CudaGraph&) = delete;
    CudaGraph& operator=(const CudaGraph&) = delete;

    bool captured() const { return executable_ != nullptr; }
    void launch(cudaStream_t stream) { check_cuda(cudaGraphLaunch(executable_, stream), "cudaGraphLaunch"); }
    void reset() {
        if (executable_ != nullptr) (void)cudaGraphExecDestroy(std::exchange(executable_, nullptr));
    }

  private:
    bool failed() {
        executable_ = nullptr;
        (void)cudaGetLastError();  // so that the next call does not report it again
        return false;
    }

    cudaGraphExec_t executable_ = nullptr;
};

// A context with its shapes set.
struct TrtRun {
    std::size_t profile = 0;
    std::vector<Shape> inputs, outputs;
    std::vector<const void*> addresses;  // the addresses set for inputs and outputs
    bool warm = false;                   // it has run with these addresses, so TensorRT has no deferred work left
    bool capturable = true;
    std::unique_ptr<nvinfer1::IExecutionContext> context;
    CudaGraph graph;  // destroyed before its context
};

class TrtRuns {
  public:
    TrtRuns(nvinfer1::ICudaEngine& engine, std::vector<std::string> inputs, std::vector<std::string> outputs,
            bool cuda_graphs);

    // The context for a profile and input shapes; it is made if it does not exist. At eight contexts, a new one
    // replaces the least recently used. Throws Error if TensorRT refuses the shapes or memory is short.
    TrtRun& prepare(std::size_t profile, const std::vector<Shape>& inputs, cudaStream_t stream);

    // Queues one run: the first as it is, later ones as a captured graph while the addresses stay the same.
    // `addresses` has those of all inputs and then of all outputs.
    void execute(TrtRun& run, const std::vector<void*>& addresses, cudaStream_t stream);

  private:
    void enqueue(TrtRun& run, cudaStream_t stream);

    nvinfer1::ICudaEngine& engine_;
    std::vector<std::string> inputs_, outputs_;
    bool cuda_graphs_;
    DeviceMemory activations_;
    std::list<TrtRun> runs_;  // most recently used first; declared after the memory, so destroyed before it
};

// Throws Error if `done` is false; the message names what TensorRT refused.
void require_trt(bool done, const std::string& what);

}  // namespace mghft
