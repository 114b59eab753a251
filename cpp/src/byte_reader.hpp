// Reads numbers from bytes that may end anywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mghft {

// An unsigned number of up to four bytes; empty if the bytes end too early.
inline std::optional<std::uint32_t> number_at(std::string_view bytes, std::size_t position, std::size_t size,
                                              bool big_endian) {
    if (position > bytes.size() || bytes.size() - position < size) return std::nullopt;
    std::uint32_t value = 0;
    for (std::size_t index = 0; index < size; ++index) {
        const std::size_t from = big_endian ? position + index : position + size - 1 - index;
        value = value << 8 | static_cast<unsigned char>(bytes[from]);
    }
    return value;
}

inline std::optional<std::uint32_t> big(std::string_view bytes, std::size_t position, std::size_t size) {
    return number_at(bytes, position, size, true);
}

inline std::optional<std::uint32_t> little(std::string_view bytes, std::size_t position, std::size_t size) {
    return number_at(bytes, position, size, false);
}

// A part of the bytes; shorter if they end too early.
inline std::string_view part(std::string_view bytes, std::size_t position, std::size_t size) {
    return position > bytes.size() ? std::string_view{} : bytes.substr(position, size);
}

}  // namespace mghft
