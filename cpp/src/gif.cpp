#include "gif.hpp"

#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace mghft {

namespace {

struct Source {
    std::string_view rest;
};

int read_bytes(GifFileType* file, GifByteType* target, int size) {
    auto* source = static_cast<Source*>(file->UserData);
    const std::size_t count = std::min(source->rest.size(), std::size_t(std::max(size, 0)));
    std::memcpy(target, source->rest.data(), count);
    source->rest.remove_prefix(count);
    return static_cast<int>(count);
}

struct Close {
    void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
};

using File = std::unique_ptr<GifFileType, Close>;

// Reads up to the first image; -1 where no colour of it is transparent. Empty where there is none.
std::optional<int> find_image(GifFileType* file) {
    int transparent = NO_TRANSPARENT_COLOR;
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    while (DGifGetRecordType(file, &record) == GIF_OK) {
        if (record == IMAGE_DESC_RECORD_TYPE) {
            if (DGifGetImageDesc(file) != GIF_OK) return std::nullopt;
            return transparent;
        }
        if (record != EXTENSION_RECORD_TYPE) return std::nullopt;
        int code = 0;
        GifByteType* block = nullptr;
        if (DGifGetExtension(file, &code, &block) != GIF_OK) return std::nullopt;
        if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr) {
            GraphicsControlBlock control{};
            if (DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) transparent = control.TransparentColor;
        }
        while (block != nullptr) {
            if (DGifGetExtensionNext(file, &block) != GIF_OK) return std::nullopt;
        }
    }
    return std::nullopt;
}

// The image's lines from top to bottom, whatever order they come in.
bool read_lines(GifFileType* file, std::vector<std::uint8_t>& indices) {
    const GifImageDesc& image = file->Image;
    const auto read = [&](int first, int step) {
        for (int y = first; y < image.Height; y += step) {
            if (DGifGetLine(file, indices.data() + std::size_t(y) * std::size_t(image.Width), image.Width) != GIF_OK) {
                return false;
            }
        }
        return true;
    };
    if (!image.Interlace) return read(0, 1);
    return read(0, 8) && read(4, 8) && read(2, 4) && read(1, 2);
}

// Colours of a file without a palette are greys.
void write_colour(const ColorMapObject* colours, int index, std::uint8_t* target) {
    if (colours == nullptr) {
        std::fill_n(target, 3, static_cast<std::uint8_t>(index));
    } else if (index < colours->ColorCount) {
        const GifColorType& colour = colours->Colors[index];
        target[0] = colour.Red;
        target[1] = colour.Green;
        target[2] = colour.Blue;
    } else {
        std::fill_n(target, 3, std::uint8_t{0});
    }
}

}  // namespace

std::optional<Pixels> decode_gif(std::string_view content) {
    Source source{content};
    const File file(DGifOpen(&source, read_bytes, nullptr));
    if (!file) return std::nullopt;
    const auto transparent = find_image(file.get());
    if (!transparent) return std::nullopt;
    const GifImageDesc& image = file->Image;
    if (image.Width <= 0 || image.Height <= 0 || image.Left < 0 || image.Top < 0) return std::nullopt;
    // A frame may reach beyond the canvas, which then grows.
    const int width = std::max(file->SWidth, image.Left + image.Width);
    const int height = std::max(file->SHeight, image.Top + image.Height);
    if (std::size_t(width) * std::size_t(height) > kMostPixels) return std::nullopt;
    std::vector<std::uint8_t> indices(std::size_t(image.Width) * std::size_t(image.Height));
    if (!read_lines(file.get(), indices)) return std::nullopt;

    const ColorMapObject* colours = image.ColorMap != nullptr ? image.ColorMap : file->SColorMap;
    const bool has_alpha = *transparent != NO_TRANSPARENT_COLOR;
    Pixels pixels(width, height, has_alpha ? 4 : 3);
    // Around a smaller frame the canvas is transparent, or of the palette's first colour.
    const int around = has_alpha ? *transparent : 0;
    for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
            const int from_x = x - image.Left, from_y = y - image.Top;
            const bool inside = from_x >= 0 && from_x < image.Width && from_y >= 0 && from_y < image.Height;
            const int index =
                inside ? indices[std::size_t(from_y) * std::size_t(image.Width) + std::size_t(from_x)] : around;
            write_colour(colours, index, pixels.at(x, y));
            if (has_alpha) pixels.at(x, y)[3] = index == *transparent ? 0 : 255;
        }
    }
    return pixels;
}

}  // namespace mghft
