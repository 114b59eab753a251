// Owners of CUDA's memory and events, and CUDA's errors as sentences.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <utility>

#include "mghft/mghft.hpp"

namespace mghft {

inline void check_cuda(cudaError_t error, const char* call) {
    if (error == cudaSuccess) return;
    throw Error(std::string("the GPU failed in ") + call + " (" + cudaGetErrorString(error) +
                "); look at nvidia-smi or dmesg, and run again");
}

inline void check_allocation(cudaError_t error, std::size_t size, const char* what) {
    if (error != cudaErrorMemoryAllocation) return check_cuda(error, "an allocation");
    (void)cudaGetLastError();  // so that the next call does not report it again
    throw Error(std::to_string(size >> 20) + " MiB of " + what +
                " memory cannot be had; run a smaller batch, or close what else uses the memory");
}

// For use after launching a kernel of this library, which is compiled only for some GPUs.
inline void check_launch(cudaError_t error) {
    const bool other_gpu = error == cudaErrorNoKernelImageForDevice || error == cudaErrorInvalidDeviceFunction ||
                           error == cudaErrorUnsupportedPtxVersion;
    if (!other_gpu) return check_cuda(error, "the preprocessing kernel");
    int device = 0, major = 0, minor = 0;
    check_cuda(cudaGetDevice(&device), "cudaGetDevice");
    check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), "cudaDeviceGetAttribute");
    check_cuda(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), "cudaDeviceGetAttribute");
    throw Error(
        "the preprocessing kernel was not built for this GPU; build libmghft again with "
        "-DMGHFT_CUDA_ARCHITECTURES=" +
        std::to_string(major * 10 + minor));
}

// The GPU that was current in the constructing thread. Each thread has its own current GPU.
class CudaDevice {
  public:
    CudaDevice() { check_cuda(cudaGetDevice(&number_), "cudaGetDevice"); }

    // Makes it the calling thread's current GPU.
    void use() const { check_cuda(cudaSetDevice(number_), "cudaSetDevice"); }
    int number() const { return number_; }

  private:
    int number_ = 0;
};

// Memory that is kept and grows. Its address changes only when it grows.
template <cudaError_t (*allocate)(void**, std::size_t), cudaError_t (*release)(void*)>
class CudaMemory {
  public:
    explicit CudaMemory(const char* what) : what_(what) {}
    ~CudaMemory() { free(); }
    CudaMemory(CudaMemory&& other) noexcept
        : what_(other.what_), data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    CudaMemory& operator=(CudaMemory&&) = delete;

    void* reserve(std::size_t size) {
        if (size > size_) {
            free();
            check_allocation(allocate(&data_, size), size, what_);
            size_ = size;
        }
        return data_;
    }
    void* data() const { return data_; }
    std::size_t size() const { return size_; }

  private:
    void free() {
        if (data_ != nullptr) (void)release(std::exchange(data_, nullptr));
        size_ = 0;
    }

    const char* what_;
    void* data_ = nullptr;
    std::size_t size_ = 0;
};

inline cudaError_t allocate_device(void** data, std::size_t size) {
    return cudaMalloc(data, size);
}

inline cudaError_t allocate_pinned(void** data, std::size_t size) {
    return cudaHostAlloc(data, size, cudaHostAllocDefault);
}

// The owner must wait for every stream that uses the memory before it grows or is freed.
class DeviceMemory : public CudaMemory<allocate_device, cudaFree> {
  public:
    DeviceMemory() : CudaMemory("GPU") {}
};

class PinnedMemory : public CudaMemory<allocate_pinned, cudaFreeHost> {
  public:
    PinnedMemory() : CudaMemory("pinned host") {}
};

// A mark in a stream's queue that the host can wait for.
class CudaEvent {
  public:
    CudaEvent() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreateWithFlags"); }
    ~CudaEvent() {
        if (event_ != nullptr) (void)cudaEventDestroy(event_);
    }
    CudaEvent(CudaEvent&& other) noexcept : event_(std::exchange(other.event_, nullptr)) {}
    CudaEvent& operator=(CudaEvent&&) = delete;

    void record(cudaStream_t stream) { check_cuda(cudaEventRecord(event_, stream), "cudaEventRecord"); }
    // Returns at once for a mark that was never recorded.
    void wait() { check_cuda(cudaEventSynchronize(event_), "cudaEventSynchronize"); }

  private:
    cudaEvent_t event_ = nullptr;
};

class CudaStream {
  public:
    CudaStream() {
        check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    }
    ~CudaStream() { (void)cudaStreamDestroy(stream_); }
    CudaStream(const CudaStream&) = delete;
    CudaStream& operator=(const CudaStream&) = delete;

    cudaStream_t get() const { return stream_; }
    void synchronize() { check_cuda(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

  private:
    cudaStream_t stream_ = nullptr;
};

}  // namespace mghft
