// Converts the colours of an ICC profile to sRGB, through littleCMS.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pixels.hpp"

namespace mghft {

// Most bytes of a profile; a larger one is not applied. Profiles of printers have 2 MiB.
constexpr std::size_t kMostProfile = std::size_t{1} << 22;

// Converts RGB or RGBA to sRGB with perceptual intent. The pixels do not change if the profile is damaged or of another
// colour space. A profile that calls itself sRGB counts as sRGB.
void to_srgb(Pixels& pixels, std::string_view profile);

// Converts rows of inverted CMYK to RGB; false if the profile is damaged or of another colour space.
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
