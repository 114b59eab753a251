#include <cuda_fp16.h>

#include <cstring>

#include "device_preprocess.hpp"
#include "resize_task.hpp"

namespace mghft {

namespace {

constexpr int kBlockWidth = 32, kBlockHeight = 8;

__device__ void store(float* target, float value) {
    *target = value;
}

__device__ void store(__half* target, float value) {
    *target = __float2half_rn(value);
}

// One thread per pixel. Neighbouring rows of the result share rows of the source, and each thread narrows those again.
// For a sticker of 512 pixels this is four times the work of two passes, but it needs no second kernel and no memory
// between two passes.
template <typename Output>
__global__ void preprocess(ResizeTask task, Output* target) {
    const int x = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const int y = static_cast<int>(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= task.width || y >= task.height) return;
    float values[3];
    resized(task, x, y, values);
    const std::ptrdiff_t plane = std::ptrdiff_t{task.width} * task.height;
    for (int channel = 0; channel < 3; ++channel) {
        store(target + channel * plane + std::ptrdiff_t{y} * task.width + x, values[channel]);
    }
}

// Where the parts of one transfer lie: pixels, then the tables of both axes, each aligned.
struct Layout {
    std::size_t end = 0;

    std::size_t add(std::size_t bytes) {
        const std::size_t start = end;
        end = (start + bytes + 255) / 256 * 256;
        return start;
    }
};

struct AxisPlace {
    std::size_t starts, counts, weights;
};

std::size_t bytes_of(const std::vector<std::int32_t>& table) {
    return table.size() * sizeof(std::int32_t);
}

AxisPlace add_axis(Layout& layout, const Axis& axis) {
    return {layout.add(bytes_of(axis.starts)), layout.add(bytes_of(axis.counts)), layout.add(bytes_of(axis.weights))};
}

void copy_axis(std::uint8_t* memory, const AxisPlace& place, const Axis& axis) {
    std::memcpy(memory + place.starts, axis.starts.data(), bytes_of(axis.starts));
    std::memcpy(memory + place.counts, axis.counts.data(), bytes_of(axis.counts));
    std::memcpy(memory + place.weights, axis.weights.data(), bytes_of(axis.weights));
}

AxisView view_of(const std::uint8_t* memory, const AxisPlace& place, const Axis& axis) {
    const auto table = [&](std::size_t start) { return reinterpret_cast<const std::int32_t*>(memory + start); };
    return {table(place.starts), table(place.counts), table(place.weights), axis.taps};
}

}  // namespace

void DevicePreprocessor::write(const ImageView& image, ElementType type, void* target, cudaStream_t stream) {
    require_image(image);
    const Size wanted{entry_.width, entry_.height};
    const Size size = resized_size({image.width, image.height}, wanted, entry_.crop_fraction);
    plan_axis(columns_, image.width, size.width, crop_start(size.width, wanted.width), entry_.width);
    plan_axis(rows_, image.height, size.height, crop_start(size.height, wanted.height), entry_.height);

    const std::size_t row = std::size_t(image.width) * std::size_t(image.channels);
    Layout layout;
    const std::size_t pixels = layout.add(row * std::size_t(image.height));
    const AxisPlace columns = add_axis(layout, columns_), rows = add_axis(layout, rows_);
    copied_.wait();
    auto* host = static_cast<std::uint8_t*>(staging_.reserve(layout.end));
    if (layout.end > source_.size()) check_cuda(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
    auto* device = static_cast<std::uint8_t*>(source_.reserve(layout.end));
    for (int y = 0; y < image.height; ++y) {
        std::memcpy(host + pixels + std::size_t(y) * row, image.pixels + y * image.row_bytes, row);
    }
    copy_axis(host, columns, columns_);
    copy_axis(host, rows, rows_);
    check_cuda(cudaMemcpyAsync(device, host, layout.end, cudaMemcpyHostToDevice, stream), "cudaMemcpyAsync");
    copied_.record(stream);

    ResizeTask task;
    task.pixels = device + pixels;
    task.row_bytes = static_cast<std::ptrdiff_t>(row);
    task.channels = image.channels;
    task.columns = view_of(device, columns, columns_);
    task.rows = view_of(device, rows, rows_);
    task.width = entry_.width;
    task.height = entry_.height;
    for (std::size_t channel = 0; channel < 3; ++channel) {
        task.background[channel] = entry_.background[channel];
        task.mean[channel] = entry_.mean[channel];
        task.std[channel] = entry_.std[channel];
    }
    const dim3 block(kBlockWidth, kBlockHeight);
    const dim3 grid((static_cast<unsigned>(wanted.width) + kBlockWidth - 1) / kBlockWidth,
                    (static_cast<unsigned>(wanted.height) + kBlockHeight - 1) / kBlockHeight);
    if (type == ElementType::kFloat16) {
        preprocess<<<grid, block, 0, stream>>>(task, static_cast<__half*>(target));
    } else {
        preprocess<<<grid, block, 0, stream>>>(task, static_cast<float*>(target));
    }
    check_launch(cudaGetLastError());
}

}  // namespace mghft
