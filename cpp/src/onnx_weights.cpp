#include "onnx_weights.hpp"

#include "protobuf.hpp"

namespace mghft {

namespace {

// Field numbers of onnx.proto.
constexpr std::uint64_t kModelGraph = 7, kGraphInitializer = 5;
constexpr std::uint64_t kTensorRawData = 9, kTensorExternalData = 13, kTensorDataLocation = 14;
constexpr std::uint64_t kEntryKey = 1, kEntryValue = 2;
constexpr std::uint64_t kExternal = 1;

void write_varint(std::uint64_t value, std::string& target) {
    for (; value >= 0x80; value >>= 7) target += static_cast<char>(value | 0x80);
    target += static_cast<char>(value);
}

void write_number(std::uint64_t field, std::uint64_t value, std::string& target) {
    write_varint(field << 3 | kVarint, target);
    write_varint(value, target);
}

void write_bytes(std::uint64_t field, std::string_view bytes, std::string& target) {
    write_varint(field << 3 | kBytes, target);
    write_varint(bytes.size(), target);
    target += bytes;
}

void write_entry(const char* key, const std::string& value, std::string& tensor) {
    std::string entry;
    write_bytes(kEntryKey, key, entry);
    write_bytes(kEntryValue, value, entry);
    write_bytes(kTensorExternalData, entry, tensor);
}

// Appends an initializer to a graph; a large one becomes external data. False if it is malformed.
bool append_initializer(const Field& initializer, std::string_view model, const std::string& file_name,
                        std::string& graph) {
    std::string_view weights;
    std::string kept;
    for (std::string_view rest = initializer.bytes; !rest.empty();) {
        const auto field = read_field(rest);
        if (!field) return false;
        if (field->number == kTensorRawData) {
            weights = field->bytes;
        } else {
            kept += field->whole;
        }
    }
    if (weights.size() < kLargeWeight) {
        graph += initializer.whole;
        return true;
    }
    write_entry("location", file_name, kept);
    write_entry("offset", std::to_string(weights.data() - model.data()), kept);
    write_entry("length", std::to_string(weights.size()), kept);
    write_number(kTensorDataLocation, kExternal, kept);
    write_bytes(kGraphInitializer, kept, graph);
    return true;
}

}  // namespace

std::optional<std::string> without_weights(std::string_view model, const std::string& file_name) {
    std::string structure;
    for (std::string_view rest = model; !rest.empty();) {
        const auto field = read_field(rest);
        if (!field) return std::nullopt;
        if (field->number != kModelGraph || field->wire_type != kBytes) {
            structure += field->whole;
            continue;
        }
        std::string graph;
        for (std::string_view inside = field->bytes; !inside.empty();) {
            const auto part = read_field(inside);
            if (!part) return std::nullopt;
            if (part->number != kGraphInitializer || part->wire_type != kBytes) {
                graph += part->whole;
            } else if (!append_initializer(*part, model, file_name, graph)) {
                return std::nullopt;
            }
        }
        write_bytes(kModelGraph, graph, structure);
    }
    return structure;
}

}  // namespace mghft
