// Computes one pixel of the vision branch's input, in a thread of the CUDA kernel and, for the tests, on the host.
// The arithmetic is that of src/preprocess.cpp, bit for bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "preprocess.hpp"
#include "resample.hpp"

#ifdef __CUDACC__
#define MGHFT_HOST_DEVICE __host__ __device__
#else
#define MGHFT_HOST_DEVICE
#endif

namespace mghft {

// An axis with its tables in the memory where the task runs.
struct AxisView {
    const std::int32_t* starts = nullptr;
    const std::int32_t* counts = nullptr;
    const std::int32_t* weights = nullptr;
    int taps = 0;
};

struct ResizeTask {
    const std::uint8_t* pixels = nullptr;  // RGB or RGBA
    std::ptrdiff_t row_bytes = 0;
    int channels = 4;
    AxisView columns, rows;
    int width = 0, height = 0;  // of the result
    std::uint8_t background[3] = {};
    float mean[3] = {}, std[3] = {};
};

struct Colours {
    std::int32_t red, green, blue;
};

// A source row resized to one column of the result: rounded and clipped to 8 bits, as Pillow stores it between its two
// passes.
MGHFT_HOST_DEVICE inline Colours narrowed(const ResizeTask& task, int x, int y) {
    const std::int32_t* weights = task.columns.weights + std::ptrdiff_t{x} * task.columns.taps;
    const std::uint8_t* pixel =
        task.pixels + y * task.row_bytes + std::ptrdiff_t{task.columns.starts[x]} * task.channels;
    Colours sum{kHalf, kHalf, kHalf};
    for (int tap = 0; tap < task.columns.counts[x]; ++tap, pixel += task.channels) {
        const std::uint8_t alpha = task.channels == 4 ? pixel[3] : std::uint8_t{255};
        sum.red += over(pixel[0], alpha, task.background[0]) * weights[tap];
        sum.green += over(pixel[1], alpha, task.background[1]) * weights[tap];
        sum.blue += over(pixel[2], alpha, task.background[2]) * weights[tap];
    }
    return {clipped(sum.red), clipped(sum.green), clipped(sum.blue)};
}

// The three values of a pixel of the result.
MGHFT_HOST_DEVICE inline void resized(const ResizeTask& task, int x, int y, float values[3]) {
    const std::int32_t* weights = task.rows.weights + std::ptrdiff_t{y} * task.rows.taps;
    Colours sum{kHalf, kHalf, kHalf};
    for (int tap = 0; tap < task.rows.counts[y]; ++tap) {
        const Colours row = narrowed(task, x, task.rows.starts[y] + tap);
        sum.red += row.red * weights[tap];
        sum.green += row.green * weights[tap];
        sum.blue += row.blue * weights[tap];
    }
    const std::uint8_t pixel[3] = {clipped(sum.red), clipped(sum.green), clipped(sum.blue)};
    for (int channel = 0; channel < 3; ++channel) {
        values[channel] = (static_cast<float>(pixel[channel]) / 255.0F - task.mean[channel]) / task.std[channel];
    }
}

}  // namespace mghft
