// Protocol buffers written by hand, as ONNX files are made of them.
#pragma once

#include <cstdint>
#include <string>

namespace mghft {

inline std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}

inline std::string field(std::uint64_t number, const std::string& bytes) {
    return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

inline std::string field(std::uint64_t number, std::uint64_t value) {
    return varint(number << 3) + varint(value);
}

}  // namespace mghft
