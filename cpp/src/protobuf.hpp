// Reads protocol buffers field by field, without their schema (https://protobuf.dev/programming-guides/encoding/).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mghft {

// Wire types.
constexpr std::uint64_t kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

struct Field {
    std::uint64_t number = 0, wire_type = 0;
    std::uint64_t value = 0;  // of wire type kVarint
    std::string_view bytes;   // of wire type kBytes
    std::string_view whole;   // tag and value
};

// Takes the next field off the front of a message; empty if it is malformed.
std::optional<Field> read_field(std::string_view& rest);

}  // namespace mghft
