#include "tiff.hpp"

#include <tiffio.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "byte_reader.hpp"

namespace mghft {

namespace {

// Bytes in memory that libtiff reads like a file.
struct Source {
    std::string_view content;
    std::uint64_t position = 0;
};

tmsize_t read_bytes(thandle_t handle, void* target, tmsize_t size) {
    auto* source = static_cast<Source*>(handle);
    const std::string_view found = part(source->content, source->position, std::size_t(std::max<tmsize_t>(size, 0)));
    std::memcpy(target, found.data(), found.size());
    source->position += found.size();
    return static_cast<tmsize_t>(found.size());
}

tmsize_t write_nothing(thandle_t, void*, tmsize_t) {
    return 0;
}

toff_t seek(thandle_t handle, toff_t offset, int whence) {
    auto* source = static_cast<Source*>(handle);
    source->position = offset + (whence == SEEK_CUR   ? source->position
                                 : whence == SEEK_END ? source->content.size()
                                                      : 0);
    return source->position;
}

int close_nothing(thandle_t) {
    return 0;
}

toff_t size_of(thandle_t handle) {
    return static_cast<Source*>(handle)->content.size();
}

#if TIFFLIB_VERSION >= 20221213  // 4.5
int say_nothing(TIFF*, void*, const char*, const char*, va_list) {
    return 1;
}
#endif

struct Close {
    void operator()(TIFF* file) const { TIFFClose(file); }
};

using File = std::unique_ptr<TIFF, Close>;

File open_file(Source& source) {
    // "m" turns mapping off, so libtiff checks the sizes that the file claims at each read.
    constexpr const char* kMode = "rm";
#if TIFFLIB_VERSION >= 20221213
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> options(TIFFOpenOptionsAlloc(),
                                                                                   TIFFOpenOptionsFree);
    TIFFOpenOptionsSetErrorHandlerExtR(options.get(), say_nothing, nullptr);
    TIFFOpenOptionsSetWarningHandlerExtR(options.get(), say_nothing, nullptr);
    return File(TIFFClientOpenExt("sticker", kMode, &source, read_bytes, write_nothing, seek, close_nothing, size_of,
                                  nullptr, nullptr, options.get()));
#else
    // Older versions have one handler for the whole process.
    TIFFSetErrorHandler(nullptr);
    TIFFSetWarningHandler(nullptr);
    return File(TIFFClientOpen("sticker", kMode, &source, read_bytes, write_nothing, seek, close_nothing, size_of,
                               nullptr, nullptr));
#endif
}

std::uint16_t number_of(TIFF* file, std::uint32_t tag) {
    std::uint16_t value = 0;
    TIFFGetFieldDefaulted(file, tag, &value);
    return value;
}

// libtiff returns colours multiplied by their alpha, so they are divided by it. A channel that the file does not call
// alpha does not count as alpha.
void divide_by_alpha(Pixels& pixels) {
    for (std::size_t place = 0; place < pixels.values.size(); place += 4) {
        std::uint8_t* pixel = pixels.values.data() + place;
        const unsigned alpha = pixel[3];
        if (alpha == 0 || alpha == 255) continue;
        for (int channel = 0; channel < 3; ++channel) {
            pixel[channel] = static_cast<std::uint8_t>(std::min(255U, (pixel[channel] * 255U + alpha / 2) / alpha));
        }
    }
}

std::optional<Pixels> decode(std::string_view content, std::uint32_t width, std::uint32_t height) {
    Source source{content};
    const File file = open_file(source);
    if (!file) return std::nullopt;
    std::uint16_t extras = 0;
    std::uint16_t* kinds = nullptr;
    TIFFGetFieldDefaulted(file.get(), TIFFTAG_EXTRASAMPLES, &extras, &kinds);
    const bool has_alpha =
        extras > 0 && kinds != nullptr && (kinds[0] == EXTRASAMPLE_ASSOCALPHA || kinds[0] == EXTRASAMPLE_UNASSALPHA);
    TIFFRGBAImage image;
    char message[1024] = {};
    if (TIFFRGBAImageBegin(&image, file.get(), 1, message) == 0) return std::nullopt;
    image.req_orientation = image.orientation;  // the image is turned later, as all others are
    std::vector<std::uint32_t> raster(std::size_t{width} * height);
    const bool read = image.width == width && image.height == height &&
                      TIFFRGBAImageGet(&image, raster.data(), width, height) != 0;
    TIFFRGBAImageEnd(&image);
    if (!read) return std::nullopt;
    Pixels pixels(int(width), int(height), 4);
    std::uint8_t* to = pixels.values.data();
    for (const std::uint32_t pixel : raster) {
        *to++ = static_cast<std::uint8_t>(TIFFGetR(pixel));
        *to++ = static_cast<std::uint8_t>(TIFFGetG(pixel));
        *to++ = static_cast<std::uint8_t>(TIFFGetB(pixel));
        *to++ = has_alpha ? static_cast<std::uint8_t>(TIFFGetA(pixel)) : 255;
    }
    if (has_alpha) divide_by_alpha(pixels);
    return pixels;
}

}  // namespace

bool is_tiff(std::string_view content) {
    const std::string_view start = part(content, 0, 4);
    return start == std::string_view("II*\0", 4) || start == std::string_view("MM\0*", 4) ||
           start == std::string_view("II+\0", 4) || start == std::string_view("MM\0+", 4);
}

MaybeOpened open_tiff(std::string_view content) {
    Source source{content};
    const File file = open_file(source);
    if (!file) return std::nullopt;
    Opened opened;
    TIFFGetField(file.get(), TIFFTAG_IMAGEWIDTH, &opened.width);
    TIFFGetField(file.get(), TIFFTAG_IMAGELENGTH, &opened.height);
    if (opened.width == 0 || opened.height == 0 || opened.width >> 31 != 0 || opened.height >> 31 != 0) {
        return std::nullopt;
    }
    const std::uint16_t format = number_of(file.get(), TIFFTAG_SAMPLEFORMAT);
    if (number_of(file.get(), TIFFTAG_BITSPERSAMPLE) > 16 || format == SAMPLEFORMAT_INT || format == SAMPLEFORMAT_IEEEFP) {
        throw UnknownRange{};
    }
    opened.orientation = number_of(file.get(), TIFFTAG_ORIENTATION);
    std::uint32_t count = 0;
    void* profile = nullptr;
    if (number_of(file.get(), TIFFTAG_PHOTOMETRIC) == PHOTOMETRIC_RGB &&
        TIFFGetField(file.get(), TIFFTAG_ICCPROFILE, &count, &profile) != 0) {
        opened.profile.assign(static_cast<const char*>(profile), count);
    }
    opened.read = [content, width = opened.width, height = opened.height](std::size_t) {
        return decode(content, width, height);
    };
    return opened;
}

}  // namespace mghft
