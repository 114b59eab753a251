#include "jpeg.hpp"

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it and does not include it

#include <jpeglib.h>

#include <jerror.h>

#include <map>
#include <memory>
#include <vector>

#include "byte_reader.hpp"
#include "colour.hpp"
#include "orientation.hpp"

namespace mghft {

namespace {

// The values from the segments before the first scan.
struct Header {
    std::uint32_t width = 0, height = 0, bands = 0;
    std::vector<std::string> exif, xmp;
    std::string profile;
    bool ends = false;  // whether the end mark exists
};

bool is_frame_start(std::uint32_t marker) {
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

// Stores a piece of the ICC profile under its number.
void take_profile(std::string_view data, std::map<std::uint32_t, std::string>& pieces) {
    constexpr std::string_view kPrefix("ICC_PROFILE\0", 12);
    if (part(data, 0, kPrefix.size()) == kPrefix && data.size() > 14) {
        pieces.try_emplace(*big(data, 12, 1), data.substr(14));
    }
}

// Empty if the content has no size or no pixels.
std::optional<Header> read_header(std::string_view content) {
    constexpr std::string_view kXmpPrefix("http://ns.adobe.com/xap/1.0/\0", 29);
    Header header;
    std::map<std::uint32_t, std::string> pieces;
    for (std::size_t position = 2; position + 4 <= content.size();) {
        if (big(content, position, 1) != 0xFFU) {  // filling between segments
            ++position;
            continue;
        }
        const std::uint32_t marker = *big(content, position + 1, 1);
        if (marker == 0xFF || marker == 0x00 || marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
            position += marker == 0xFF ? 1 : 2;
            continue;
        }
        const std::uint32_t length = *big(content, position + 2, 2);
        if (marker == 0xD9 || length < 2) return std::nullopt;
        const std::string_view data = part(content, position + 4, length - 2);
        if (is_frame_start(marker) && data.size() >= 6 && header.width == 0) {
            header.height = *big(data, 1, 2);
            header.width = *big(data, 3, 2);
            header.bands = *big(data, 5, 1);
        }
        if (marker == 0xE1 && header.exif.empty() && part(data, 0, kExifPrefix.size()) == kExifPrefix) {
            header.exif.emplace_back(data);
        } else if (marker == 0xE1 && header.xmp.empty() && part(data, 0, kXmpPrefix.size()) == kXmpPrefix) {
            header.xmp.emplace_back(data);
        } else if (marker == 0xE2) {
            take_profile(data, pieces);
        } else if (marker == 0xDA) {
            if (header.width == 0 || header.height == 0) return std::nullopt;
            for (const auto& [number, piece] : pieces) header.profile += piece;
            // Entropy-coded data escape every FF byte, so this mark is the end of the image.
            header.ends = content.find("\xFF\xD9", position) != content.npos;
            return header;
        }
        position += std::size_t{2} + length;
    }
    return std::nullopt;
}

// libjpeg leaves a function only by longjmp if the content is damaged, so objects with a destructor live outside the
// functions that it leaves.
struct Reader {
    Reader() = default;
    ~Reader() { jpeg_destroy_decompress(&info); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    std::jmp_buf failed;
    bool ends = false;  // whether the end mark exists
    bool cut_short = false;
};

[[noreturn]] void fail(j_common_ptr info) {
    std::longjmp(static_cast<Reader*>(info->client_data)->failed, 1);
}

// A level below 0 is a warning. Damaged pixels are accepted, but missing pixels at the end are not. If the end mark is
// missing, JWRN_JPEG_EOF only says so, and JWRN_HIT_MARKER says that a pixel needs data that are missing.
void warn(j_common_ptr info, int level) {
    auto* reader = static_cast<Reader*>(info->client_data);
    if (level < 0 && info->err->msg_code == (reader->ends ? JWRN_JPEG_EOF : JWRN_HIT_MARKER)) reader->cut_short = true;
}

void say_nothing(j_common_ptr) {}

bool start(Reader& reader, std::string_view content) {
    if (setjmp(reader.failed) != 0) return false;
    reader.info.err = jpeg_std_error(&reader.errors);
    reader.errors.error_exit = fail;
    reader.errors.emit_message = warn;
    reader.errors.output_message = say_nothing;
    reader.info.client_data = &reader;
    jpeg_create_decompress(&reader.info);
    jpeg_mem_src(&reader.info, reinterpret_cast<const unsigned char*>(content.data()), content.size());
    jpeg_read_header(&reader.info, TRUE);
    reader.info.out_color_space = reader.info.num_components == 4 ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&reader.info);
    return true;
}

bool read_row(Reader& reader, std::uint8_t* row) {
    if (setjmp(reader.failed) != 0) return false;
    return jpeg_read_scanlines(&reader.info, &row, 1) == 1 && !reader.cut_short;
}

// Converts CMYK to RGB. The values are stored inverted, as Adobe writes them and Pillow assumes; products are rounded
// as in Pillow.
void to_rgb(const std::uint8_t* cmyk, std::size_t count, std::uint8_t* rgb) {
    for (; count > 0; --count, cmyk += 4, rgb += 3) {
        for (int channel = 0; channel < 3; ++channel) {
            const unsigned product = (255U - cmyk[channel]) * cmyk[3] + 128;
            rgb[channel] = static_cast<std::uint8_t>(cmyk[3] - (((product >> 8) + product) >> 8));
        }
    }
}

std::optional<Pixels> decode(std::string_view content, const Header& header) {
    Reader reader;
    reader.ends = header.ends;
    if (!start(reader, content)) return std::nullopt;
    const auto& info = reader.info;
    if (info.output_width != header.width || info.output_height != header.height) return std::nullopt;
    Pixels pixels(int(header.width), int(header.height), 3);
    const bool cmyk = info.output_components == 4;
    const CmykTransform transform(cmyk ? std::string_view(header.profile) : std::string_view{});
    std::vector<std::uint8_t> row(cmyk ? std::size_t{header.width} * 4 : 0);
    for (int y = 0; y < pixels.height; ++y) {
        if (!read_row(reader, cmyk ? row.data() : pixels.at(0, y))) return std::nullopt;
        if (transform) {
            transform.apply(row.data(), header.width, pixels.at(0, y));
        } else if (cmyk) {
            to_rgb(row.data(), header.width, pixels.at(0, y));
        }
    }
    return pixels;
}

}  // namespace

MaybeOpened open_jpeg(std::string_view content) {
    auto found = read_header(content);
    if (!found) return std::nullopt;
    const auto header = std::make_shared<const Header>(std::move(*found));
    Opened opened;
    opened.width = header->width;
    opened.height = header->height;
    opened.orientation = orientation_of(header->exif, header->xmp);
    if (header->bands == 3) opened.profile = header->profile;
    opened.read = [content, header](std::size_t) { return decode(content, *header); };
    return opened;
}

}  // namespace mghft
