#include "webp_animation.hpp"

#include <webp/demux.h>

#include <algorithm>
#include <memory>

namespace mghft {

namespace {

struct Delete {
    void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

}  // namespace

std::optional<Pixels> decode_webp_animation(std::string_view content) {
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

}  // namespace mghft
