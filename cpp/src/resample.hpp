// Pillow's antialiased bicubic resize, bit for bit: the source pixels and weights of each resized pixel of an axis.
#pragma once

#include <cstdint>
#include <vector>

namespace mghft {

// Fractional bits of a weight.
constexpr int kWeightBits = 32 - 8 - 2;

// One axis of a resize; only some neighbouring resized pixels are kept.
struct Axis {
    int source = 0;                     // pixels
    std::int64_t resized = 0;           // pixels
    int kept = 0;                       // pixels
    int taps = 0;                       // weights of each kept pixel, unused ones included
    std::vector<std::int32_t> starts;   // [kept], the first source pixel
    std::vector<std::int32_t> counts;   // [kept], number of source pixels
    std::vector<std::int32_t> weights;  // [kept, taps]

    // The range of source pixels that the kept pixels read.
    int first_read() const { return starts.front(); }
    int end_read() const { return starts.back() + counts.back(); }
};

// Plans an axis; allocates nothing if `axis` held one as large before.
void plan_axis(Axis& axis, int source, std::int64_t resized, std::int64_t first_kept, int kept);

// Where a centre crop of `kept` of `resized` pixels starts: halves are rounded to even, as Python does.
std::int64_t crop_start(std::int64_t resized, std::int64_t kept);

// 64 bits, because a strip one pixel thin can have a resized length beyond 32 bits.
struct Size {
    std::int64_t width = 0;
    std::int64_t height = 0;
};

// The size that covers target / crop_fraction: one side matches it, the other follows in proportion.
Size resized_size(Size image, Size target, double crop_fraction);

// From a weighted sum to a pixel.
constexpr std::uint8_t clipped(std::int32_t sum) {
    const std::int32_t value = sum >> kWeightBits;
    return static_cast<std::uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

constexpr std::int32_t kHalf = 1 << (kWeightBits - 1);

}  // namespace mghft
