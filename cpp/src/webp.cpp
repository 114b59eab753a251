#include "webp.hpp"

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "byte_reader.hpp"
#include "orientation.hpp"

namespace mghft {

namespace {

struct Delete {
    void operator()(WebPAnimDecoder* decoder) const { WebPAnimDecoderDelete(decoder); }
};

using Decoder = std::unique_ptr<WebPAnimDecoder, Delete>;

// Empty if the content is damaged.
Decoder open_decoder(const std::string& content, WebPAnimInfo& info) {
    const WebPData data{reinterpret_cast<const std::uint8_t*>(content.data()), content.size()};
    WebPAnimDecoderOptions options;
    if (WebPAnimDecoderOptionsInit(&options) == 0) return {};
    options.color_mode = MODE_RGBA;
    Decoder decoder(WebPAnimDecoderNew(&data, &options));
    if (decoder && WebPAnimDecoderGetInfo(decoder.get(), &info) == 0) return {};
    return decoder;
}

std::optional<Pixels> decode_frame(const std::string& content, std::size_t index) {
    WebPAnimInfo info;
    const Decoder decoder = open_decoder(content, info);
    if (!decoder) return std::nullopt;
    std::uint8_t* canvas = nullptr;  // owned by the decoder
    for (std::size_t number = 0; number <= index; ++number) {
        int time = 0;
        if (WebPAnimDecoderGetNext(decoder.get(), &canvas, &time) == 0) return std::nullopt;
    }
    Pixels pixels(static_cast<int>(info.canvas_width), static_cast<int>(info.canvas_height), 4);
    std::copy_n(canvas, pixels.values.size(), pixels.values.data());
    return pixels;
}

std::optional<Pixels> decode_still(const std::string& content, const WebPBitstreamFeatures& found) {
    Pixels pixels(found.width, found.height, found.has_alpha != 0 ? 4 : 3);
    const auto decode = found.has_alpha != 0 ? WebPDecodeRGBAInto : WebPDecodeRGBInto;
    std::uint8_t* values = pixels.values.data();
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(content.data());
    if (decode(bytes, content.size(), values, pixels.values.size(), found.width * pixels.channels) == nullptr) {
        return std::nullopt;
    }
    return pixels;
}

void append_number(std::string& target, std::size_t value) {
    for (int shift = 0; shift < 32; shift += 8) target += static_cast<char>(value >> shift & 255);
}

void append_chunk(std::string& target, std::string_view kind, std::string_view data) {
    target += kind;
    append_number(target, data.size());
    target += data;
    if (data.size() % 2 != 0) target += '\0';
}

struct Chunks {
    std::string pixels;  // a WebP file with only the chunks that pixels need
    std::vector<std::string> exif, xmp;
    std::string profile;
};

Chunks read_chunks(std::string_view content) {
    constexpr int kMetadataFlags = 0x20 | 0x08 | 0x04;  // flags of the VP8X chunk: profile, EXIF, XMP
    Chunks chunks;
    std::string body = "WEBP";
    for (std::size_t position = 12; position + 8 <= content.size();) {
        const std::string_view kind = part(content, position, 4);
        const std::uint32_t length = *little(content, position + 4, 4);
        const std::string_view data = part(content, position + 8, length);
        if (kind == "EXIF") {
            if (chunks.exif.empty()) chunks.exif.emplace_back(data);
        } else if (kind == "XMP ") {
            if (chunks.xmp.empty()) chunks.xmp.emplace_back(data);
        } else if (kind == "ICCP") {
            chunks.profile = data;
        } else if (kind == "VP8X" && !data.empty() && body.size() == 4) {
            std::string flags(data);
            flags[0] = static_cast<char>(flags[0] & ~kMetadataFlags);
            append_chunk(body, kind, flags);
        } else if (kind == "VP8 " || kind == "VP8L" || kind == "ALPH" || kind == "ANIM" || kind == "ANMF") {
            append_chunk(body, kind, data);
        }
        position += std::size_t{8} + length + (length & 1);
    }
    chunks.pixels = "RIFF";
    append_number(chunks.pixels, body.size());
    chunks.pixels += body;
    return chunks;
}

}  // namespace

bool is_webp(std::string_view content) {
    return part(content, 0, 4) == "RIFF" && part(content, 8, 4) == "WEBP";
}

MaybeOpened open_webp(std::string_view content) {
    Chunks chunks = read_chunks(content);
    const auto pixels = std::make_shared<const std::string>(std::move(chunks.pixels));
    WebPBitstreamFeatures found;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(pixels->data());
    if (WebPGetFeatures(bytes, pixels->size(), &found) != VP8_STATUS_OK) return std::nullopt;
    Opened opened;
    opened.orientation = orientation_of(chunks.exif, chunks.xmp);
    opened.profile = std::move(chunks.profile);
    opened.width = static_cast<std::uint32_t>(found.width);
    opened.height = static_cast<std::uint32_t>(found.height);
    if (found.has_animation != 0) {
        const WebPData data{bytes, pixels->size()};
        const std::unique_ptr<WebPDemuxer, void (*)(WebPDemuxer*)> demuxer(WebPDemux(&data), WebPDemuxDelete);
        if (!demuxer) return std::nullopt;
        opened.frames = WebPDemuxGetI(demuxer.get(), WEBP_FF_FRAME_COUNT);
        if (opened.frames == 0) return std::nullopt;
        opened.read = [pixels](std::size_t index) { return decode_frame(*pixels, index); };
    } else {
        opened.read = [pixels, found](std::size_t) { return decode_still(*pixels, found); };
    }
    return opened;
}

}  // namespace mghft
