#include "decode.hpp"

#include <new>
#include <system_error>
#include <utility>

#include "files.hpp"
#include "gif.hpp"
#include "image_header.hpp"
#include "jpeg.hpp"
#include "mghft/mghft.hpp"
#include "png.hpp"
#include "text.hpp"
#include "webp.hpp"

namespace mghft {

namespace {

std::optional<Pixels> decode_as(std::string_view content, const ImageHeader& header) {
    if (header.format == ImageFormat::kGif) return decode_gif(content);
    if (!header.complete) return std::nullopt;
    switch (header.format) {
        case ImageFormat::kPng:
            return decode_png(content, header);
        case ImageFormat::kJpeg:
            return decode_jpeg(content, header);
        default:
            return decode_webp(content, header);
    }
}

}  // namespace

Pixels decode_image(std::string_view content, const std::string& name) {
    const auto header = read_image_header(content);
    if (!header) throw Error(text(name, " cannot be read as an image; save it as PNG, JPEG, GIF or WebP"));
    if (std::size_t{header->width} * header->height > kMostPixels) {
        throw Error(text(name, " is too large (", header->width, " x ", header->height, "); scale it down to at most ",
                         kMostPixels, " pixels"));
    }
    std::optional<Pixels> pixels;
    try {
        pixels = decode_as(content, *header);
    } catch (const std::bad_alloc&) {
        throw Error(text(name, " does not fit into memory; scale it down"));
    }
    if (!pixels) throw Error(text(name, " is damaged or cut short; save or download it again"));
    return oriented(std::move(*pixels), header->orientation);
}

Pixels open_image(const std::string& path) {
    std::string content;
    try {
        content = read_file(path);
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::no_such_file_or_directory) {
            throw Error(text("there is no file ", path, "; check the path"));
        }
        if (error.code() == std::errc::is_a_directory || error.code() == std::errc::invalid_argument) {
            throw Error(text(path, " is not a file; give the path of one image"));
        }
        throw Error(text("cannot read ", path, ": ", error.code().message(), "; check the path and its permissions"));
    }
    if (content.empty()) throw Error(text(path, " is empty; save or download it again"));
    return decode_image(content, path);
}

}  // namespace mghft
