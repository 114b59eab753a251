// Colours of an ICC profile become those of sRGB, through littleCMS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pixels.hpp"

namespace mghft {

// Bytes; profiles of printers have 2 MiB. A larger one is not applied.
constexpr std::size_t kMostProfile = std::size_t{1} << 22;

// RGB or RGBA in sRGB, as perceptual intent has it; unchanged where the profile is damaged or of another kind of colour.
// A profile that calls itself sRGB is one.
void to_srgb(Pixels& pixels, std::string_view profile);

// Rows of CMYK, stored inverted, as RGB; false where the profile is damaged or of another kind of colour.
class CmykTransform {
  public:
    explicit CmykTransform(std::string_view profile);
    ~CmykTransform();
    CmykTransform(const CmykTransform&) = delete;
    CmykTransform& operator=(const CmykTransform&) = delete;

    explicit operator bool() const { return transform_ != nullptr; }
    void apply(const std::uint8_t* cmyk, std::size_t count, std::uint8_t* rgb) const;

  private:
    void* transform_ = nullptr;
};

}  // namespace mghft
