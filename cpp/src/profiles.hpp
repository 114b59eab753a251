// Which optimisation profile an engine runs a batch with, and how a larger batch is split.
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

// Batches from `least` to `most` run.
struct BatchRange {
    std::int64_t least = 1;
    std::int64_t most = 1;
};

// Of the profiles that hold these input shapes the one with the smallest largest input; among equals the one whose best
// shapes are nearest. Throws Error where none does.
std::size_t choose_profile(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes);

// The batches that run, for inputs of these shapes whatever their first dimension is; the largest first.
// Throws Error where no profile takes the other dimensions.
std::vector<BatchRange> batch_ranges(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes);

// The next of the lengths that texts are padded to for an engine, which keeps what it has prepared for a few shapes only:
// 16, 24, 32, 48, 64 and so on.
constexpr std::int64_t kShortestText = 16;
constexpr std::int64_t next_text_length(std::int64_t length) {
    const bool power_of_two = (length & (length - 1)) == 0;
    return power_of_two ? length * 3 / 2 : length * 4 / 3;
}

// The batches that two branches both run.
std::vector<BatchRange> common_ranges(const std::vector<BatchRange>& first, const std::vector<BatchRange>& second);

// The sizes of as few runs as possible that add up to `count`, nearly equal where one range of batches allows it.
// Throws Error where so many cannot be made of these batches.
std::vector<std::int64_t> split_batch(std::int64_t count, const std::vector<BatchRange>& ranges);

}  // namespace mghft
