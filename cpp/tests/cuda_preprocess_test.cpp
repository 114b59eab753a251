// The CUDA kernel against the CPU's preprocessing; needs a GPU.
#include <cuda_runtime_api.h>
#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "device_preprocess.hpp"
#include "preprocess.hpp"

using namespace mghft;

namespace {

bool has_gpu() {
    int count = 0;
    return cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
}

template <typename Value>
void compare(int width, int height, ElementType type) {
    ImageEntry entry{224, 160, 0.875, {0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}, {255, 128, 0}};
    std::mt19937 random(7);
    std::vector<std::uint8_t> pixels(std::size_t(width) * std::size_t(height) * 4);
    for (auto& pixel : pixels) pixel = static_cast<std::uint8_t>(random());
    const ImageView image{pixels.data(), width, height, 4, std::ptrdiff_t{width} * 4};
    const std::size_t count = 3 * 224 * 160;
    std::vector<Value> expected(count), found(count);
    Preprocessor(entry).write(image, type, expected.data());
    DevicePreprocessor device(entry);
    DeviceMemory target;
    CudaStream stream;
    device.write(image, type, target.reserve(count * sizeof(Value)), stream.get());
    stream.synchronize();
    check_cuda(cudaMemcpy(found.data(), target.data(), count * sizeof(Value), cudaMemcpyDeviceToHost), "cudaMemcpy");
    CHECK(found == expected);
}

}  // namespace

TEST_CASE("the kernel computes what the CPU does") {
    if (!has_gpu()) {
        MESSAGE("not run: no GPU");
        return;
    }
    for (const auto& [width, height] : {std::pair{512, 512}, {40, 900}, {224, 160}, {1, 1}, {3001, 17}}) {
        CAPTURE(width);
        compare<std::uint16_t>(width, height, ElementType::kFloat16);
        compare<float>(width, height, ElementType::kFloat32);
    }
}
