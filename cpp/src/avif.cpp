#include "avif.hpp"

#include <avif/avif.h>

#include <memory>

#include "byte_reader.hpp"

namespace mghft {

namespace {

// The container's orientation as EXIF counts it. The container turns anticlockwise first and then mirrors.
int orientation_of(const avifImage& image) {
#if AVIF_VERSION >= 1000000
    const bool left_right = image.imir.axis == 1;
#else
    const bool left_right = image.imir.mode == 1;
#endif
    const bool mirrored = (image.transformFlags & AVIF_TRANSFORM_IMIR) != 0;
    const int angle = (image.transformFlags & AVIF_TRANSFORM_IROT) != 0 ? image.irot.angle : 0;
    constexpr int kTurned[] = {1, 8, 3, 6}, kLeftRight[] = {2, 7, 4, 5}, kTopBottom[] = {4, 5, 2, 7};
    return (!mirrored ? kTurned : left_right ? kLeftRight : kTopBottom)[angle & 3];
}

std::optional<Pixels> decode(avifDecoder* decoder, std::size_t index) {
    if (avifDecoderNthImage(decoder, static_cast<std::uint32_t>(index)) != AVIF_RESULT_OK) return std::nullopt;
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, decoder->image);
    rgb.depth = 8;
    rgb.format = decoder->alphaPresent != 0 ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    Pixels pixels(int(rgb.width), int(rgb.height), decoder->alphaPresent != 0 ? 4 : 3);
    rgb.pixels = pixels.values.data();
    rgb.rowBytes = rgb.width * static_cast<std::uint32_t>(pixels.channels);
    if (avifImageYUVToRGB(decoder->image, &rgb) != AVIF_RESULT_OK) return std::nullopt;
    return pixels;
}

}  // namespace

bool is_avif(std::string_view content) {
    const std::string_view brand = part(content, 4, 8);
    return brand == "ftypavif" || brand == "ftypavis";
}

MaybeOpened open_avif(std::string_view content) {
    avifDecoder* created = avifDecoderCreate();
    if (created == nullptr) return std::nullopt;
    const std::shared_ptr<avifDecoder> decoder(created, avifDecoderDestroy);
    // Off as in Pillow: files of older writers lack pixi properties and have wrong clap properties.
    decoder->strictFlags &= ~static_cast<avifStrictFlags>(AVIF_STRICT_PIXI_REQUIRED | AVIF_STRICT_CLAP_VALID);
    decoder->imageSizeLimit = kMostPixels;
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(content.data());
    if (avifDecoderSetIOMemory(decoder.get(), bytes, content.size()) != AVIF_RESULT_OK ||
        avifDecoderParse(decoder.get()) != AVIF_RESULT_OK) {
        return std::nullopt;
    }
    Opened opened;
    opened.width = decoder->image->width;
    opened.height = decoder->image->height;
    opened.frames = static_cast<std::size_t>(decoder->imageCount);
    opened.orientation = orientation_of(*decoder->image);
    const avifRWData& profile = decoder->image->icc;
    if (profile.size > 0) opened.profile.assign(reinterpret_cast<const char*>(profile.data), profile.size);
    opened.read = [decoder](std::size_t index) { return decode(decoder.get(), index); };
    return opened;
}

}  // namespace mghft
