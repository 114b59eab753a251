#include "preprocess.hpp"

#include "half.hpp"
#include "pixels.hpp"

namespace mghft {

Preprocessor::Preprocessor(const ImageEntry& image) : entry_(image) {
    for (std::size_t channel = 0; channel < 3; ++channel) {
        for (std::size_t pixel = 0; pixel < 256; ++pixel) {
            const float share = static_cast<float>(pixel) / 255.0F;
            values_[channel][pixel] = (share - entry_.mean[channel]) / entry_.std[channel];
            halves_[channel][pixel] = to_half(values_[channel][pixel]);
        }
    }
}

void require_image(const ImageView& image) {
    const bool sized = image.pixels != nullptr && image.width > 0 && image.height > 0 &&
                       std::size_t(image.width) * std::size_t(image.height) <= kMostPixels;
    if (!sized) throw Error("an image has no pixels, or more than 134217728; give one that was decoded");
    if (image.channels != 3 && image.channels != 4) {
        throw Error("an image has neither 3 nor 4 channels; give RGB or RGBA");
    }
    if (image.row_bytes < std::ptrdiff_t{image.width} * image.channels) {
        throw Error("an image's row_bytes is less than a row; give width x channels or more");
    }
}

const std::uint8_t* Preprocessor::resize(const ImageView& image) {
    require_image(image);
    const Size target{entry_.width, entry_.height};
    const Size size = resized_size({image.width, image.height}, target, entry_.crop_fraction);
    plan_axis(columns_, image.width, size.width, crop_start(size.width, target.width), entry_.width);
    plan_axis(rows_, image.height, size.height, crop_start(size.height, target.height), entry_.height);

    const int first = rows_.first_read(), end = rows_.end_read();
    const std::size_t line = std::size_t(target.width) * 3;
    row_.resize(std::size_t(image.width) * 3);
    narrow_.resize(std::size_t(end - first) * line);
    pixels_.resize(std::size_t(target.height) * line);

    for (int y = first; y < end; ++y) {
        read_row(image, y);
        std::uint8_t* out = narrow_.data() + std::size_t(y - first) * line;
        for (std::size_t x = 0; x < std::size_t(target.width); ++x, out += 3) {
            const std::int32_t* weights = columns_.weights.data() + x * std::size_t(columns_.taps);
            const std::uint8_t* in = row_.data() + std::size_t(columns_.starts[x]) * 3;
            std::int32_t red = kHalf, green = kHalf, blue = kHalf;
            for (int tap = 0; tap < columns_.counts[x]; ++tap, in += 3) {
                red += in[0] * weights[tap];
                green += in[1] * weights[tap];
                blue += in[2] * weights[tap];
            }
            out[0] = clipped(red);
            out[1] = clipped(green);
            out[2] = clipped(blue);
        }
    }
    for (std::size_t y = 0; y < std::size_t(target.height); ++y) {
        const std::int32_t* weights = rows_.weights.data() + y * std::size_t(rows_.taps);
        const std::uint8_t* top = narrow_.data() + std::size_t(rows_.starts[y] - first) * line;
        std::uint8_t* out = pixels_.data() + y * line;
        for (std::size_t place = 0; place < line; ++place) {
            std::int32_t sum = kHalf;
            for (int tap = 0; tap < rows_.counts[y]; ++tap) sum += top[std::size_t(tap) * line + place] * weights[tap];
            out[place] = clipped(sum);
        }
    }
    return pixels_.data();
}

void Preprocessor::write(const ImageView& image, ElementType type, void* target) {
    const std::uint8_t* pixels = resize(image);
    const std::size_t count = std::size_t(entry_.width) * std::size_t(entry_.height);
    for (std::size_t channel = 0; channel < 3; ++channel) {
        for (std::size_t place = 0; place < count; ++place) {
            const std::uint8_t pixel = pixels[place * 3 + channel];
            if (type == ElementType::kFloat16) {
                static_cast<std::uint16_t*>(target)[channel * count + place] = halves_[channel][pixel];
            } else {
                static_cast<float*>(target)[channel * count + place] = values_[channel][pixel];
            }
        }
    }
}

void Preprocessor::read_row(const ImageView& image, int y) {
    const int first = columns_.first_read(), end = columns_.end_read();
    const std::uint8_t* in = image.pixels + y * image.row_bytes + std::ptrdiff_t{first} * image.channels;
    std::uint8_t* out = row_.data() + std::size_t(first) * 3;
    for (int x = first; x < end; ++x, in += image.channels, out += 3) {
        // Transparent pixels take the background's colour before the resize, so that the colours that a file hides
        // under them cannot bleed into their neighbours.
        const std::uint8_t alpha = image.channels == 4 ? in[3] : std::uint8_t{255};
        for (std::size_t channel = 0; channel < 3; ++channel) {
            out[channel] = over(in[channel], alpha, entry_.background[channel]);
        }
    }
}

}  // namespace mghft
