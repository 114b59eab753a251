#include "protobuf.hpp"

namespace mghft {

namespace {

std::optional<std::uint64_t> read_varint(std::string_view& rest) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest.empty(); shift += 7) {
        const auto byte = static_cast<unsigned char>(rest[0]);
        rest.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7FU} << shift;
        if (byte < 0x80) return value;
    }
    return std::nullopt;
}

}  // namespace

std::optional<Field> read_field(std::string_view& rest) {
    const std::string_view before = rest;
    const auto tag = read_varint(rest);
    if (!tag) return std::nullopt;
    Field field;
    field.number = *tag >> 3;
    field.wire_type = *tag & 7;
    std::size_t size = 0;
    if (field.wire_type == kVarint || field.wire_type == kBytes) {
        const auto value = read_varint(rest);
        if (!value) return std::nullopt;
        if (field.wire_type == kBytes) {
            size = *value;
        } else {
            field.value = *value;
        }
    } else if (field.wire_type == kFixed64) {
        size = 8;
    } else if (field.wire_type == kFixed32) {
        size = 4;
    } else {
        return std::nullopt;
    }
    if (size > rest.size()) return std::nullopt;
    field.bytes = rest.substr(0, size);
    rest.remove_prefix(size);
    field.whole = before.substr(0, before.size() - rest.size());
    return field;
}

}  // namespace mghft
