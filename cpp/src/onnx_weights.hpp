// Takes the large weights out of an ONNX model, so that runtimes map them into memory instead of copying them twice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mghft {

// Weights below this size stay in the model.
constexpr std::size_t kLargeWeight = 1 << 16;

// The same model with ONNX's external data in place of large weights: the name of the model's own file, and the
// weights' offset and length in it. Empty if the bytes are not an ONNX model.
std::optional<std::string> without_weights(std::string_view model, const std::string& file_name);

}  // namespace mghft
