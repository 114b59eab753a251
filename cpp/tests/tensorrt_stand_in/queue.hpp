// Work on a stream of the stand-in for CUDA.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace stand_in {

// Run later, or recorded where the stream is being captured.
void queue(cudaStream_t stream, std::function<void()> work);

}  // namespace stand_in
