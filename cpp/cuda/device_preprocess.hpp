// Preprocessing on the GPU: resize, composite and normalise an RGBA image into a planar FP16 or float32 tensor.
#pragma once

#include <cuda_runtime_api.h>

#include "cuda_memory.hpp"
#include "manifest.hpp"
#include "mghft/mghft.hpp"
#include "resample.hpp"

namespace mghft {

// Queues its work on the given stream. It rewrites the staging memory only after the copy of the last image is done.
class DevicePreprocessor {
  public:
    explicit DevicePreprocessor(const ImageEntry& image) : entry_(image) {}

    // Writes [3, H, W] of `type` to device memory. The image's pixels may be anywhere on the host: they go through
    // pinned memory. Throws Error if the view is not a valid image, memory is short, or the GPU failed.
    void write(const ImageView& image, ElementType type, void* target, cudaStream_t stream);

  private:
    ImageEntry entry_;
    Axis columns_, rows_;
    PinnedMemory staging_;  // pixels and tables, which go to the device in one copy
    DeviceMemory source_;
    CudaEvent copied_;
};

}  // namespace mghft
