// Turns an image into the vision branch's input: composites, resizes, crops and normalises it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "manifest.hpp"
#include "mghft/mghft.hpp"
#include "resample.hpp"

namespace mghft {

// A channel of a transparent pixel over the background, rounded as in Pillow's paste.
constexpr std::uint8_t over(std::uint8_t value, std::uint8_t alpha, std::uint8_t background) {
    const std::uint32_t sum = std::uint32_t{background} * (255U - alpha) + std::uint32_t{value} * alpha + 128;
    return static_cast<std::uint8_t>(((sum >> 8) + sum) >> 8);
}

class Preprocessor {
  public:
    explicit Preprocessor(const ImageEntry& image);

    // Writes [3, H, W] in float32 or float16. Allocates nothing if it has seen an image as large before.
    // Throws Error if the view is not a valid image.
    void write(const ImageView& image, ElementType type, void* target);

    // The resized and cropped pixels, [H, W, 3], not normalised; valid until the next call.
    const std::uint8_t* resize(const ImageView& image);

  private:
    void read_row(const ImageView& image, int y);

    ImageEntry entry_;
    std::array<std::array<float, 256>, 3> values_;  // normalised, by channel and pixel
    std::array<std::array<std::uint16_t, 256>, 3> halves_;
    Axis columns_, rows_;
    std::vector<std::uint8_t> row_;     // one source row, RGB, opaque
    std::vector<std::uint8_t> narrow_;  // the source rows that are read, resized to the result's width
    std::vector<std::uint8_t> pixels_;
};

// Throws Error if a view has no pixels, a size out of range, or not 3 or 4 channels.
void require_image(const ImageView& image);

}  // namespace mghft
