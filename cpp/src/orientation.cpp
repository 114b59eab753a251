#include "orientation.hpp"

#include "byte_reader.hpp"

namespace mghft {

namespace {

bool is_space(char letter) {
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

void skip_spaces(std::string_view& text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
}

// Removes the leading characters that `is` accepts; false if there are none.
template <typename Is>
bool skip(std::string_view& text, Is is) {
    std::size_t count = 0;
    while (count < text.size() && is(text[count])) ++count;
    text.remove_prefix(count);
    return count > 0;
}

int digit(char letter) {
    if (letter >= '0' && letter <= '9') return letter - '0';
    if (letter >= 'a' && letter <= 'f') return letter - 'a' + 10;
    if (letter >= 'A' && letter <= 'F') return letter - 'A' + 10;
    return -1;
}

}  // namespace

std::optional<int> exif_orientation(std::string_view block) {
    constexpr std::uint32_t kOrientation = 0x112, kShort = 3, kLong = 4;
    while (part(block, 0, kExifPrefix.size()) == kExifPrefix) block.remove_prefix(kExifPrefix.size());
    const std::string_view order = part(block, 0, 4);
    const bool big_endian = order == std::string_view("MM\0*", 4);
    if (!big_endian && order != std::string_view("II*\0", 4)) return std::nullopt;
    const auto at = [&](std::size_t position, std::size_t size) { return number_at(block, position, size, big_endian); };
    const auto directory = at(4, 4);
    if (!directory) return std::nullopt;
    const std::uint32_t entries = at(*directory, 2).value_or(0);
    for (std::size_t entry = 0; entry < entries; ++entry) {
        const std::size_t position = std::size_t{*directory} + 2 + 12 * entry;
        const auto tag = at(position, 2), type = at(position + 2, 2), count = at(position + 4, 4);
        if (!count) return std::nullopt;
        if (tag != kOrientation) continue;
        const auto value = at(position + 8, type == kLong ? 4 : 2);
        if ((type != kShort && type != kLong) || count != 1U || !value || *value < 1 || *value > 8) return std::nullopt;
        return static_cast<int>(*value);
    }
    return std::nullopt;
}

std::optional<int> xmp_orientation(std::string_view packet) {
    constexpr std::string_view kName = "tiff:Orientation";
    for (std::size_t at = packet.find(kName); at != packet.npos; at = packet.find(kName, at + 1)) {
        std::string_view rest = packet.substr(at + kName.size());
        if (part(rest, 0, 1) != ">") {
            skip_spaces(rest);
            if (part(rest, 0, 1) != "=") continue;
            rest.remove_prefix(1);
            skip_spaces(rest);
            if (part(rest, 0, 1) != "\"" && part(rest, 0, 1) != "'") continue;
        }
        rest.remove_prefix(1);
        skip_spaces(rest);
        if (rest.empty() || rest.front() < '1' || rest.front() > '8') continue;
        const int value = rest.front() - '0';
        rest.remove_prefix(1);
        skip_spaces(rest);
        const std::string_view end = part(rest, 0, 1);
        if (end == "\"" || end == "'" || end == "<") return value;
    }
    return std::nullopt;
}

std::string raw_profile(std::string_view text) {
    const auto is_letter = [](char letter) { return !is_space(letter); };
    const auto is_number = [](char letter) { return letter >= '0' && letter <= '9'; };
    skip_spaces(text);
    if (!skip(text, is_letter) || !skip(text, is_space) || !skip(text, is_number) || !skip(text, is_space)) return {};
    std::string block;
    for (;;) {
        skip_spaces(text);
        if (text.size() < 2 || digit(text[0]) < 0 || digit(text[1]) < 0) break;
        block += static_cast<char>(digit(text[0]) * 16 + digit(text[1]));
        text.remove_prefix(2);
    }
    // Only zeros may follow.
    return text.find_first_not_of('\0') == text.npos ? block : std::string{};
}

}  // namespace mghft
