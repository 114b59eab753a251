// The orientation of an image, from its EXIF or else its XMP; damaged metadata is ignored.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mghft {

constexpr std::string_view kExifPrefix("Exif\0\0", 6);

// A number from 1 to 8 if the block has an orientation as a single whole number, as browsers require. The block is a
// TIFF file ("II*" or "MM*") after any number of prefixes.
std::optional<int> exif_orientation(std::string_view block);

// The number in tiff:Orientation, which may be an attribute or an element.
std::optional<int> xmp_orientation(std::string_view packet);

// The block that ImageMagick and exiftool write into a PNG's text: a name, a length and hexadecimal digits.
std::string raw_profile(std::string_view text);

// The orientation from the first block that has it, EXIF before XMP; 1 if none has.
template <typename Strings>
int orientation_of(const Strings& exif, const Strings& xmp) {
    for (const auto& block : exif) {
        if (const auto found = exif_orientation(block)) return *found;
    }
    for (const auto& packet : xmp) {
        if (const auto found = xmp_orientation(packet)) return *found;
    }
    return 1;
}

}  // namespace mghft
