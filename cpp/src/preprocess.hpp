// An image becomes the vision branch's input: composited, resized, cropped, normalised.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "manifest.hpp"
#include "mghft/mghft.hpp"
#include "resample.hpp"

namespace mghft {

// A transparent pixel's channel over the background, as Pillow's paste rounds it.
constexpr std::uint8_t over(std::uint8_t value, std::uint8_t alpha, std::uint8_t background) {
    const std::uint32_t sum = std::uint32_t{background} * (255U - alpha) + std::uint32_t{value} * alpha + 128;
    return static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8);
}

class Preprocessor {
  public:
    explicit Preprocessor(const ImageEntry& image);

    // Writes [3, H, W] in float32 or float16. Allocates nothing where an image as large was seen before.
    // Throws Error where the view is no image.
    void write(const ImageView& image, ElementType type, void* target);

    // The resized and cropped pixels, [H, W, 3], before they are normalised; until the next call.
    const std::uint8_t* resize(const ImageView& image);

  private:
    void read_row(const ImageView& image, int y);

    ImageEntry entry_;
    std::array<std::array<float, 256>, 3> values_;  // normalised, by channel and pixel
    std::array<std::array<std::uint16_t, 256>, 3> halves_;
    Axis columns_, rows_;
    std::vector<std::uint8_t> row_;     // of the source, RGB, opaque
    std::vector<std::uint8_t> narrow_;  // source rows that are read, their width resized
    std::vector<std::uint8_t> pixels_;
};

// Throws Error where a view has no pixels, a size out of range, or other than 3 or 4 channels.
void require_image(const ImageView& image);

}  // namespace mghft
