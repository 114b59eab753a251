// The parts of a bundle's manifest.json that running it needs.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mghft {

struct FileEntry {
    std::string path;    // inside the bundle
    std::string sha256;  // hexadecimal
    std::int64_t bytes = 0;
};

enum class ElementType { kFloat32, kFloat16, kInt64 };

struct TensorEntry {
    std::string name;
    std::vector<std::int64_t> shape;  // -1 where a dimension is dynamic
    ElementType type = ElementType::kFloat32;
};

struct GraphEntry {
    FileEntry file;
    std::vector<TensorEntry> inputs;
    std::vector<TensorEntry> outputs;
};

struct ImageEntry {
    int height = 0;
    int width = 0;
    double crop_fraction = 0;
    std::array<float, 3> mean{};
    std::array<float, 3> std{};
    std::array<std::uint8_t, 3> background{};
};

struct TextEntry {
    bool separate_views = false;
    bool pools_padding = false;
    int max_length = 0;
};

struct QuantizationEntry {
    bool sums_in_16_bits = false;  // the sum of two neighbouring 8-bit products always fits 16 bits
};

struct Manifest {
    std::string producer;
    std::string checkpoint;
    bool trained = false;
    std::vector<std::string> class_names;
    ImageEntry image;
    TextEntry text;
    FileEntry tokenizer;
    std::optional<FileEntry> no_text;                                     // features of a sticker without text
    std::map<std::string, std::map<std::string, GraphEntry>> precisions;  // by precision and branch
    std::map<std::string, QuantizationEntry> quantization;                // by precision
    std::vector<FileEntry> other_files;
};

// Throws JsonError if a value is missing, of another kind or out of range, and Error for another schema version.
Manifest parse_manifest(const std::string& text, const std::string& name);

// A file entry of a manifest or a build.json. Throws JsonError if it has no path, SHA-256 or size.
FileEntry read_file_entry(const class JsonValue& value);

// "#rgb", "#rrggbb" or one of HTML's sixteen names. Throws JsonError.
std::array<std::uint8_t, 3> parse_colour(const std::string& text);

const char* type_name(ElementType type);
std::size_t type_size(ElementType type);

}  // namespace mghft
