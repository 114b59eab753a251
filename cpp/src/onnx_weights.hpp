// An ONNX file without its large weights, which runtimes then map into memory instead of copying them twice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace mghft {

// Weights below this size stay in the model.
constexpr std::size_t kLargeWeight = 1 << 16;

// The same model with ONNX's external data in place of large weights: file name, offset and length of where they are,
// which is the model's own file. Empty where the bytes are no ONNX model.
std::optional<std::string> without_weights(std::string_view model, const std::string& file_name);

}  // namespace mghft
