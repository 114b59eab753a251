// The shape of a tensor. It allocates no memory, so a hot path may make one.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace mghft {

struct Shape {
    std::array<std::int64_t, 4> sizes{};
    std::size_t rank = 0;

    Shape() = default;
    Shape(std::initializer_list<std::int64_t> values) {
        for (const std::int64_t value : values) sizes[rank++] = value;
    }

    std::int64_t count() const {
        std::int64_t product = 1;
        for (std::size_t index = 0; index < rank; ++index) product *= sizes[index];
        return product;
    }
    bool operator==(const Shape& other) const { return rank == other.rank && sizes == other.sizes; }
    bool operator!=(const Shape& other) const { return !(*this == other); }

    // "2x3x448x448"
    std::string written() const {
        std::string text;
        for (std::size_t index = 0; index < rank; ++index) {
            text += (index == 0 ? "" : "x") + std::to_string(sizes[index]);
        }
        return text;
    }
};

}  // namespace mghft
