#include "exif.hpp"

#include "byte_reader.hpp"

namespace mghft {

int exif_orientation(std::string_view tiff) {
    constexpr std::uint32_t kOrientation = 0x112, kShort = 3, kLong = 4;
    const std::string_view order = part(tiff, 0, 2);
    if (order != "II" && order != "MM") return 1;
    const bool big_endian = order == "MM";
    const auto at = [&](std::size_t position, std::size_t size) { return number_at(tiff, position, size, big_endian); };
    if (at(2, 2) != 42U) return 1;
    const auto directory = at(4, 4);
    if (!directory) return 1;
    const std::uint32_t count = at(*directory, 2).value_or(0);
    for (std::size_t entry = 0; entry < count; ++entry) {
        const std::size_t position = std::size_t{*directory} + 2 + 12 * entry;
        const auto tag = at(position, 2), type = at(position + 2, 2);
        if (!tag || !type) return 1;
        if (tag != kOrientation) continue;
        const auto value = at(position + 8, type == kLong ? 4 : 2);
        const bool known = type == kShort || type == kLong;
        return known && value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
    }
    return 1;
}

}  // namespace mghft
