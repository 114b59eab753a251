// Which way up an image is: its EXIF says so, else its XMP; what is damaged says nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mghft {

constexpr std::string_view kExifPrefix("Exif\0\0", 6);

// From 1 to 8 where the block, a TIFF file ("II*" or "MM*") after no, one or more prefixes, has one whole number of that
// kind, as browsers demand.
std::optional<int> exif_orientation(std::string_view block);

// From tiff:Orientation, which is an attribute or an element.
std::optional<int> xmp_orientation(std::string_view packet);

// The block that ImageMagick and exiftool write into a PNG's text: a name, a length and hexadecimal digits.
std::string raw_profile(std::string_view text);

// The first block that says it, EXIF before XMP; 1 where none does.
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
