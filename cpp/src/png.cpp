#include "png.hpp"

#include <png.h>

#include <cmath>
#include <csetjmp>
#include <cstring>

namespace mghft {

namespace {

// libpng leaves by longjmp where the content is damaged, so what has a destructor lives outside of the functions that
// it leaves.
struct Reader {
    explicit Reader(std::string_view content) : rest(content) {}
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    std::string_view rest;
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::jmp_buf failed;
};

[[noreturn]] void fail(png_structp png, png_const_charp) {
    std::longjmp(static_cast<Reader*>(png_get_error_ptr(png))->failed, 1);
}

void ignore(png_structp, png_const_charp) {}

void take(png_structp png, png_bytep target, std::size_t count) {
    std::string_view& rest = static_cast<Reader*>(png_get_io_ptr(png))->rest;
    if (count > rest.size()) png_error(png, "cut short");
    std::memcpy(target, rest.data(), count);
    rest.remove_prefix(count);
}

// Colours become RGB or RGBA of 8 bits; of 16 bits the upper 8 count. Grey without an alpha channel stays grey of 8 or
// 16 bits.
bool start(Reader& reader) {
    if (setjmp(reader.failed) != 0) return false;
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, fail, ignore);
    reader.info = reader.png == nullptr ? nullptr : png_create_info_struct(reader.png);
    if (reader.info == nullptr) return false;
    png_set_read_fn(reader.png, &reader, take);
    png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the number of pixels is bounded already
    png_read_info(reader.png, reader.info);
    if (png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_GRAY) {
        png_set_expand_gray_1_2_4_to_8(reader.png);
    } else {
        png_set_expand(reader.png);
        png_set_strip_16(reader.png);
        png_set_gray_to_rgb(reader.png);
    }
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    return true;
}

bool read(Reader& reader, png_bytepp rows) {
    if (setjmp(reader.failed) != 0) return false;
    png_read_image(reader.png, rows);
    png_read_end(reader.png, nullptr);
    return true;
}

// Rounded to 8 bits, as Pillow has it.
std::uint8_t eight_bits(unsigned grey) {
    return static_cast<std::uint8_t>(std::nearbyint(static_cast<float>(grey) * (255.0F / 65535.0F)));
}

Pixels coloured(const std::vector<png_byte>& grey, std::size_t bytes, const ImageHeader& header) {
    Pixels pixels(int(header.width), int(header.height), header.transparent_grey ? 4 : 3);
    std::uint8_t* to = pixels.values.data();
    for (std::size_t place = 0; place < grey.size(); place += bytes, to += pixels.channels) {
        const unsigned value = bytes == 1 ? grey[place] : grey[place] * 256U + grey[place + 1];
        std::memset(to, bytes == 1 ? int(value) : eight_bits(value), 3);
        if (header.transparent_grey) to[3] = value == *header.transparent_grey ? 0 : 255;
    }
    return pixels;
}

}  // namespace

std::optional<Pixels> decode_png(std::string_view content, const ImageHeader& header) {
    Reader reader(content);
    if (!start(reader)) return std::nullopt;
    const std::size_t width = png_get_image_width(reader.png, reader.info);
    const std::size_t height = png_get_image_height(reader.png, reader.info);
    const std::size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
    const int channels = png_get_channels(reader.png, reader.info);
    if (width != header.width || height != header.height) return std::nullopt;
    std::vector<png_bytep> rows(height);
    const auto read_into = [&](std::uint8_t* values) {
        for (std::size_t row = 0; row < height; ++row) rows[row] = values + row * row_bytes;
        return read(reader, rows.data());
    };
    if (channels == 1) {
        std::vector<png_byte> grey(row_bytes * height);
        if (!read_into(grey.data())) return std::nullopt;
        return coloured(grey, row_bytes / width, header);
    }
    Pixels pixels(int(width), int(height), channels);
    if (row_bytes != width * std::size_t(channels) || !read_into(pixels.values.data())) return std::nullopt;
    return pixels;
}

}  // namespace mghft
