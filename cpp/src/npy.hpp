// NumPy's .npy format: a header, which is a Python dictionary, and the values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mghft {

struct NpyArray {
    std::string type;                // as NumPy writes it: "<f4", "<U12"
    std::vector<std::size_t> shape;  // empty for a single value
    std::string_view data;           // the bytes of all values, as many as type and shape need

    std::size_t count() const;
    // The values of a "<U..." array. Throws std::runtime_error for another type.
    std::vector<std::string> strings() const;
    // The values of a "<f2", "<f4" or "<f8" array. Throws std::runtime_error for another type.
    std::vector<float> floats() const;
};

// Throws std::runtime_error if the content is not an array, is in Fortran's order or is cut short. The array points
// into the content.
NpyArray parse_npy(std::string_view content);

}  // namespace mghft
