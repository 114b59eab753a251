// Chooses the optimisation profile that an engine runs a batch with, and splits larger batches.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shape.hpp"

namespace mghft {

// The shapes of one input in one profile.
struct Extent {
    Shape least, best, most;

    bool holds(const Shape& shape) const;
};

using Profile = std::vector<Extent>;  // by input

// The batch sizes from `least` to `most`, which can run.
struct BatchRange {
    std::int64_t least = 1;
    std::int64_t most = 1;
};

// Among the profiles that allow these input shapes, the one with the smallest maximum shapes; if several are equal, the
// one with the nearest optimum shapes. Throws Error if no profile allows the shapes.
std::size_t choose_profile(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes);

// The batch sizes that can run for inputs of these shapes, whatever their first dimension is; the largest first.
// Throws Error if no profile allows the other dimensions.
std::vector<BatchRange> batch_ranges(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes);

// The next of the lengths that texts are padded to for an engine: 16, 24, 32, 48, 64 and so on. They are few, because
// an engine prepares for only a few shapes.
constexpr std::int64_t kShortestText = 16;
constexpr std::int64_t next_text_length(std::int64_t length) {
    const bool power_of_two = (length & (length - 1)) == 0;
    return power_of_two ? length * 3 / 2 : length * 4 / 3;
}

// The batch sizes that two branches can both run.
std::vector<BatchRange> common_ranges(const std::vector<BatchRange>& first, const std::vector<BatchRange>& second);

// The batch sizes of as few runs as possible that add up to `count`; nearly equal if one range of sizes allows it.
// Throws Error if these batch sizes cannot add up to `count`.
std::vector<std::int64_t> split_batch(std::int64_t count, const std::vector<BatchRange>& ranges);

}  // namespace mghft
