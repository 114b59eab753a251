#include "jpeg.hpp"

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it and does not include it

#include <jpeglib.h>

#include <jerror.h>

namespace mghft {

namespace {

// libjpeg has no way out but longjmp where the content is damaged, so what has a destructor lives outside of the
// functions that it leaves.
struct Reader {
    Reader() = default;
    ~Reader() { jpeg_destroy_decompress(&info); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    std::jmp_buf failed;
    bool cut_short = false;
};

[[noreturn]] void fail(j_common_ptr info) {
    std::longjmp(static_cast<Reader*>(info->client_data)->failed, 1);
}

// A level below 0 is a warning: blemishes are taken, an image without its end is not.
void warn(j_common_ptr info, int level) {
    if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) static_cast<Reader*>(info->client_data)->cut_short = true;
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

// CMYK is stored inverted, as Adobe does and Pillow assumes; the product is rounded as Pillow's.
void to_rgb(const std::uint8_t* cmyk, std::size_t count, std::uint8_t* rgb) {
    for (; count > 0; --count, cmyk += 4, rgb += 3) {
        for (int channel = 0; channel < 3; ++channel) {
            const unsigned product = (255U - cmyk[channel]) * cmyk[3] + 128;
            rgb[channel] = static_cast<std::uint8_t>(cmyk[3] - (((product >> 8) + product) >> 8));
        }
    }
}

}  // namespace

std::optional<Pixels> decode_jpeg(std::string_view content, const ImageHeader& header) {
    Reader reader;
    if (!start(reader, content)) return std::nullopt;
    const auto& info = reader.info;
    if (info.output_width != header.width || info.output_height != header.height) return std::nullopt;
    Pixels pixels(int(header.width), int(header.height), 3);
    const bool cmyk = info.output_components == 4;
    std::vector<std::uint8_t> row(cmyk ? std::size_t{header.width} * 4 : 0);
    for (int y = 0; y < pixels.height; ++y) {
        if (!read_row(reader, cmyk ? row.data() : pixels.at(0, y))) return std::nullopt;
        if (cmyk) to_rgb(row.data(), header.width, pixels.at(0, y));
    }
    return pixels;
}

}  // namespace mghft
