#include "webp.hpp"

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

namespace mghft {

namespace {

struct Delete {
    void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

std::optional<Pixels> decode_first_frame(std::string_view content) {
    const WebPData data{reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
    WebPAnimDecoderOptions options;
    if (WebPAnimDecoderOptionsInit(&options) == 0) return std::nullopt;
    options.color_mode = MODE_RGBA;
    const std::unique_ptr<WebPAnimDecoder, Delete> decoder(WebPAnimDecoderNew(&data, &options));
    WebPAnimInfo info;
    if (!decoder || WebPAnimDecoderGetInfo(decoder.get(), &info) == 0) return std::nullopt;
    if (std::size_t{info.canvas_width} * info.canvas_height > kMostPixels) return std::nullopt;
    std::uint8_t* canvas = nullptr;  // the decoder's
    int time = 0;
    if (WebPAnimDecoderGetNext(decoder.get(), &canvas, &time) == 0) return std::nullopt;
    Pixels pixels(static_cast<int>(info.canvas_width), static_cast<int>(info.canvas_height), 4);
    std::copy_n(canvas, pixels.values.size(), pixels.values.data());
    return pixels;
}

std::optional<Pixels> decode_still(std::string_view content, const ImageHeader& header) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(content.data());
    WebPBitstreamFeatures found;
    if (WebPGetFeatures(bytes, content.size(), &found) != VP8_STATUS_OK) return std::nullopt;
    if (std::uint32_t(found.width) != header.width || std::uint32_t(found.height) != header.height) return std::nullopt;
    Pixels pixels(found.width, found.height, found.has_alpha != 0 ? 4 : 3);
    const auto decode = found.has_alpha != 0 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
    std::uint8_t* values = pixels.values.data();
    if (decode(bytes, content.size(), values, pixels.values.size(), found.width * pixels.channels) == nullptr) {
        return std::nullopt;
    }
    return pixels;
}

}  // namespace

std::optional<Pixels> decode_webp(std::string_view content, const ImageHeader& header) {
    return header.animated ? decode_first_frame(content) : decode_still(content, header);
}

}  // namespace mghft
