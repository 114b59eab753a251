#include "image_header.hpp"

#include "byte_reader.hpp"
#include "exif.hpp"

namespace mghft {

namespace {

using Header = std::optional<ImageHeader>;

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kExifPrefix("Exif\0\0", 6);

Header read_png(std::string_view content) {
    ImageHeader header;
    header.format = ImageFormat::kPng;
    header.complete = false;
    std::uint32_t depth = 0, colour = 0;
    bool sized = false;  // the first IHDR counts, as in libpng
    for (std::size_t position = kPngSignature.size(); position < content.size();) {
        const auto length = big(content, position, 4);
        if (!length) break;
        const std::string_view kind = part(content, position + 4, 4);
        const std::string_view data = part(content, position + 8, *length);
        if (kind == "IHDR" && !sized) {
            sized = true;
            const auto width = big(data, 0, 4), height = big(data, 4, 4);
            if (!width || !height || data.size() < 13) return std::nullopt;
            header.width = *width;
            header.height = *height;
            depth = big(data, 8, 1).value_or(0);
            colour = big(data, 9, 1).value_or(0);
        } else if (kind == "eXIf") {
            header.orientation = exif_orientation(data);
        } else if (kind == "tRNS" && colour == 0 && depth >= 8) {
            if (const auto grey = big(data, 0, 2)) header.transparent_grey = static_cast<std::uint16_t>(*grey);
        } else if (kind == "IEND") {
            header.complete = true;
            break;
        }
        position += std::size_t{12} + *length;
    }
    return header;
}

bool is_frame_start(std::uint32_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

Header read_jpeg(std::string_view content) {
    ImageHeader header;
    header.format = ImageFormat::kJpeg;
    header.complete = false;
    bool exif = false;
    for (std::size_t position = 2; position < content.size();) {
        if (big(content, position, 1) != 0xFFU) {  // filling between segments
            ++position;
            continue;
        }
        const std::uint32_t marker = big(content, position + 1, 1).value_or(0xFF);
        if (marker == 0xFF || marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
            position += marker == 0xFF ? 1 : 2;
            continue;
        }
        if (marker == 0xD9) break;
        const auto length = big(content, position + 2, 2);
        if (!length || *length < 2) break;
        const std::string_view data = part(content, position + 4, *length - 2);
        if (is_frame_start(marker)) {
            const auto height = big(data, 1, 2), width = big(data, 3, 2);
            if (!height || !width) return std::nullopt;
            header.width = *width;
            header.height = *height;
        } else if (marker == 0xE1 && !exif && part(data, 0, kExifPrefix.size()) == kExifPrefix) {
            exif = true;
            header.orientation = exif_orientation(data.substr(kExifPrefix.size()));
        } else if (marker == 0xDA) {
            // Entropy-coded data escape every FF, so this one is the end of the image.
            header.complete = content.find("\xFF\xD9", position) != content.npos;
            break;
        }
        position += std::size_t{2} + *length;
    }
    return header;
}

Header read_webp(std::string_view content) {
    ImageHeader header;
    header.format = ImageFormat::kWebp;
    const auto size = little(content, 4, 4);
    header.complete = size && std::size_t{*size} + 8 <= content.size();
    bool sized = false;  // the first size counts, as in libwebp
    for (std::size_t position = 12; position < content.size();) {
        const std::string_view kind = part(content, position, 4);
        const auto length = little(content, position + 4, 4);
        if (!length) break;
        const std::string_view data = part(content, position + 8, *length);
        if (kind == "VP8X" && !sized && data.size() >= 10) {
            sized = true;
            header.animated = (*big(data, 0, 1) & 2) != 0;
            header.width = *little(data, 4, 3) + 1;
            header.height = *little(data, 7, 3) + 1;
        } else if (kind == "VP8 " && !sized && data.size() >= 10) {
            sized = true;
            header.width = *little(data, 6, 2) & 0x3FFF;
            header.height = *little(data, 8, 2) & 0x3FFF;
        } else if (kind == "VP8L" && !sized && data.size() >= 5) {
            sized = true;
            const std::uint32_t bits = *little(data, 1, 4);
            header.width = (bits & 0x3FFF) + 1;
            header.height = (bits >> 14 & 0x3FFF) + 1;
        } else if (kind == "EXIF") {
            const bool prefixed = part(data, 0, kExifPrefix.size()) == kExifPrefix;
            header.orientation = exif_orientation(prefixed ? data.substr(kExifPrefix.size()) : data);
        }
        position += std::size_t{8} + *length + (*length & 1);
    }
    return header;
}

Header read_gif(std::string_view content) {
    ImageHeader header;
    header.format = ImageFormat::kGif;
    const auto width = little(content, 6, 2), height = little(content, 8, 2);
    if (!width || !height) return std::nullopt;
    header.width = *width;
    header.height = *height;
    return header;
}

Header read_any(std::string_view content) {
    if (part(content, 0, 8) == kPngSignature) return read_png(content);
    if (part(content, 0, 3) == "\xFF\xD8\xFF") return read_jpeg(content);
    if (part(content, 0, 4) == "RIFF" && part(content, 8, 4) == "WEBP") return read_webp(content);
    const std::string_view gif = part(content, 0, 6);
    if (gif == "GIF87a" || gif == "GIF89a") return read_gif(content);
    return std::nullopt;
}

}  // namespace

Header read_image_header(std::string_view content) {
    Header header = read_any(content);
    if (header && (header->width == 0 || header->height == 0)) return std::nullopt;
    return header;
}

}  // namespace mghft
