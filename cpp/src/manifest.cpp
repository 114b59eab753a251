#include "manifest.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include "json.hpp"
#include "mghft/mghft.hpp"
#include "text.hpp"

namespace mghft {

namespace {

constexpr std::int64_t kSchemaVersion = 1;
constexpr std::int64_t kMostPixels = 1 << 14;    // of one side of the model's input
constexpr std::int64_t kMostElements = 1 << 28;  // of a tensor of one sticker
constexpr std::int64_t kMostTokens = 1 << 16;
constexpr std::int64_t kMostSize = std::int64_t{1} << 40;

TensorEntry read_tensor(const JsonValue& value) {
    TensorEntry entry;
    entry.name = value["name"].string();
    const JsonValue shape = value["shape"];
    if (shape.size() < 1 || shape.size() > 4) shape.fail("has not one to four dimensions");
    std::int64_t elements = 1;
    for (std::size_t index = 0; index < shape.size(); ++index) {
        const JsonValue size = shape.item(index);
        entry.shape.push_back(size.is_string() ? -1 : size.integer(1, kMostElements));
        elements *= std::max<std::int64_t>(entry.shape.back(), 1);
        if (elements > kMostElements) shape.fail("is too large");
    }
    const std::string type = value["dtype"].string();
    for (const ElementType known : {ElementType::kFloat32, ElementType::kFloat16, ElementType::kInt64}) {
        if (type == type_name(known)) {
            entry.type = known;
            return entry;
        }
    }
    value["dtype"].fail("is " + type + ", not float32, float16 or int64");
}

std::vector<TensorEntry> read_tensors(const JsonValue& value) {
    std::vector<TensorEntry> found;
    for (std::size_t index = 0; index < value.size(); ++index) found.push_back(read_tensor(value.item(index)));
    return found;
}

std::array<float, 3> read_colour_values(const JsonValue& value) {
    if (value.size() != 3) value.fail("has not three values");
    std::array<float, 3> found{};
    for (std::size_t channel = 0; channel < 3; ++channel) {
        const double number = value.item(channel).number();
        if (!(number >= -1e3 && number <= 1e3)) value.fail("is out of range");
        found[channel] = static_cast<float>(number);
    }
    return found;
}

ImageEntry read_image(const JsonValue& value) {
    ImageEntry image;
    image.height = static_cast<int>(value["height"].integer(32, kMostPixels));
    image.width = static_cast<int>(value["width"].integer(32, kMostPixels));
    image.crop_fraction = value["crop_fraction"].number();
    // Below a hundredth, the resized image would have more than ten thousand times the pixels of the model's input.
    if (!(image.crop_fraction >= 0.01 && image.crop_fraction <= 1)) {
        value["crop_fraction"].fail("is not above 0.01 and at most 1");
    }
    image.mean = read_colour_values(value["mean"]);
    image.std = read_colour_values(value["std"]);
    for (const float deviation : image.std) {
        if (!(deviation > 0)) value["std"].fail("is not above 0");
    }
    image.background = parse_colour(value["background"].string());
    return image;
}

TextEntry read_text(const JsonValue& value) {
    TextEntry text;
    const std::string views = value["views"].string(), pooling = value["pooling"].string();
    if (views != "joined" && views != "separate") value["views"].fail("is neither joined nor separate");
    if (pooling != "all" && pooling != "masked") value["pooling"].fail("is neither all nor masked");
    text.separate_views = views == "separate";
    text.pools_padding = pooling == "all";
    text.max_length = static_cast<int>(value["max_length"].integer(3, kMostTokens));
    return text;
}

}  // namespace

FileEntry read_file_entry(const JsonValue& value) {
    FileEntry entry{value["path"].string(), value["sha256"].string(), value["bytes"].integer(1, kMostSize)};
    const bool hex =
        entry.sha256.size() == 64 && entry.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!hex) value["sha256"].fail("is no SHA-256");
    if (entry.path.empty() || entry.path.find('\0') != std::string::npos) value["path"].fail("is no path");
    return entry;
}

const char* type_name(ElementType type) {
    switch (type) {
        case ElementType::kFloat32:
            return "float32";
        case ElementType::kFloat16:
            return "float16";
        case ElementType::kInt64:
            return "int64";
    }
    return "";
}

std::size_t type_size(ElementType type) {
    switch (type) {
        case ElementType::kFloat32:
            return 4;
        case ElementType::kFloat16:
            return 2;
        case ElementType::kInt64:
            return 8;
    }
    return 0;
}

std::array<std::uint8_t, 3> parse_colour(const std::string& text) {
    static const std::map<std::string, std::array<std::uint8_t, 3>> kNames = {
        {"white", {255, 255, 255}},  {"black", {0, 0, 0}},      {"red", {255, 0, 0}},    {"lime", {0, 255, 0}},
        {"blue", {0, 0, 255}},       {"yellow", {255, 255, 0}}, {"aqua", {0, 255, 255}}, {"fuchsia", {255, 0, 255}},
        {"silver", {192, 192, 192}}, {"gray", {128, 128, 128}}, {"maroon", {128, 0, 0}}, {"olive", {128, 128, 0}},
        {"green", {0, 128, 0}},      {"purple", {128, 0, 128}}, {"teal", {0, 128, 128}}, {"navy", {0, 0, 128}},
    };
    std::string lower(text);
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    if (const auto named = kNames.find(lower); named != kNames.end()) return named->second;
    const bool hex =
        !lower.empty() && lower[0] == '#' && lower.find_first_not_of("0123456789abcdef", 1) == std::string::npos;
    if (!hex || (lower.size() != 4 && lower.size() != 7)) {
        throw JsonError("image.background: '" + text + "' is no colour such as 'white' or '#ff8800'");
    }
    std::array<std::uint8_t, 3> colour{};
    const std::size_t digits = lower.size() / 3;
    for (std::size_t channel = 0; channel < 3; ++channel) {
        std::string part = lower.substr(1 + channel * digits, digits);
        if (digits == 1) part += part;
        colour[channel] = static_cast<std::uint8_t>(std::stoi(part, nullptr, 16));
    }
    return colour;
}

Manifest parse_manifest(const std::string& text, const std::string& name) {
    const JsonDocument document(text);
    const JsonValue root = document.root();
    const std::int64_t version = root["schema_version"].integer();
    if (version != kSchemaVersion) {
        throw Error(mghft::text(name, " has schema version ", version, ", this program reads ", kSchemaVersion,
                                "; export it again"));
    }
    Manifest manifest;
    manifest.producer = root["producer"].string();
    manifest.trained = root["trained"].boolean();
    manifest.checkpoint = root["checkpoint"]["name"].string();
    const JsonValue names = root["class_names"];
    for (std::size_t index = 0; index < names.size(); ++index) {
        manifest.class_names.push_back(names.item(index).string());
    }
    if (manifest.class_names.empty()) names.fail("is empty");
    manifest.image = read_image(root["image"]);
    manifest.text = read_text(root["text"]);
    manifest.tokenizer = read_file_entry(root["tokenizer"]);
    if (root.has("no_text")) manifest.no_text = read_file_entry(root["no_text"]);
    for (const auto& [precision, graphs] : root["precisions"].members()) {
        for (const auto& [branch, graph] : graphs.members()) {
            manifest.precisions[precision][branch] = {read_file_entry(graph["file"]), read_tensors(graph["inputs"]),
                                                      read_tensors(graph["outputs"])};
        }
    }
    if (root.has("quantization")) {
        for (const auto& [precision, entry] : root["quantization"].members()) {
            manifest.other_files.push_back(read_file_entry(entry["recipe"]));
            manifest.quantization[precision] = {entry.boolean_or("sums_in_16_bits", false)};
        }
    }
    return manifest;
}

}  // namespace mghft
