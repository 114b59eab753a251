// CUDA's runtime on the host. Work runs as late as CUDA may: when somebody waits for its stream, or for all. Memory
// that was given back is overwritten, so that work which still uses it goes wrong.
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "queue.hpp"
#include "stand_in.hpp"

namespace stand_in {

Counts counts;
bool capture_fails = false;
bool memory_is_full = false;
bool run_fails = false;
bool outputs_are_odd = false;

}  // namespace stand_in

namespace {

using Work = std::function<void()>;

struct Stream {
    std::deque<Work> work;
    bool capturing = false;
    std::vector<Work> captured;
};

struct Event {
    Stream* stream = nullptr;
};

std::set<Stream*>& streams() {
    static std::set<Stream*> all;
    return all;
}

std::map<void*, std::size_t>& memory() {
    static std::map<void*, std::size_t> all;
    return all;
}

thread_local int current_device = 0;

void run(Stream& stream) {
    while (!stream.work.empty()) {
        Work next = std::move(stream.work.front());
        stream.work.pop_front();
        next();
    }
}

Stream& of(cudaStream_t stream) {
    return *reinterpret_cast<Stream*>(stream);
}

cudaError_t allocate(void** data, std::size_t size) {
    if (stand_in::memory_is_full) return cudaErrorMemoryAllocation;
    *data = std::malloc(size);
    memory()[*data] = size;
    return cudaSuccess;
}

cudaError_t release(void* data) {
    std::memset(data, 0xCD, memory().at(data));
    memory().erase(data);
    std::free(data);
    return cudaSuccess;
}

}  // namespace

void stand_in::queue(cudaStream_t stream, std::function<void()> work) {
    Stream& target = of(stream);
    if (target.capturing) {
        target.captured.push_back(std::move(work));
    } else {
        target.work.push_back(std::move(work));
    }
}

extern "C" {

cudaError_t cudaMalloc(void** data, std::size_t size) {
    return allocate(data, size);
}
cudaError_t cudaFree(void* data) {
    return release(data);
}
cudaError_t cudaHostAlloc(void** data, std::size_t size, unsigned int) {
    return allocate(data, size);
}
cudaError_t cudaFreeHost(void* data) {
    return release(data);
}
cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t size, cudaMemcpyKind, cudaStream_t stream) {
    stand_in::queue(stream, [=] { std::memcpy(target, source, size); });
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
    auto* made = new Stream;
    streams().insert(made);
    *stream = reinterpret_cast<cudaStream_t>(made);
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    run(of(stream));
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    run(of(stream));
    streams().erase(&of(stream));
    delete &of(stream);
    return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int) {
    *event = reinterpret_cast<cudaEvent_t>(new Event);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    reinterpret_cast<Event*>(event)->stream = &of(stream);
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    Stream* stream = reinterpret_cast<Event*>(event)->stream;
    if (stream != nullptr && streams().count(stream) != 0) run(*stream);
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete reinterpret_cast<Event*>(event);
    return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stand_in::capture_fails) return cudaErrorStreamCaptureUnsupported;
    of(stream).capturing = true;
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    of(stream).capturing = false;
    *graph = reinterpret_cast<cudaGraph_t>(new std::vector<Work>(std::move(of(stream).captured)));
    of(stream).captured.clear();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    *executable =
        reinterpret_cast<cudaGraphExec_t>(new std::vector<Work>(*reinterpret_cast<std::vector<Work>*>(graph)));
    ++stand_in::counts.captured;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    for (const Work& work : *reinterpret_cast<std::vector<Work>*>(executable)) stand_in::queue(stream, work);
    ++stand_in::counts.launches;
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete reinterpret_cast<std::vector<Work>*>(graph);
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    delete reinterpret_cast<std::vector<Work>*>(executable);
    return cudaSuccess;
}
cudaError_t cudaGetLastError() {
    return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t) {
    return "an error of the stand-in";
}
cudaError_t cudaGetDevice(int* device) {
    *device = current_device;
    return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
    current_device = device;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? 8 : 7;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int) {
    std::strcpy(properties->name, "Orin");
    properties->major = 8;
    properties->minor = 7;
    properties->multiProcessorCount = 16;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
    *free = *total = std::size_t(1) << 35;
    return cudaSuccess;
}

}  // extern "C"
