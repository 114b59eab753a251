#include "colour.hpp"

#include <lcms2.h>

#include <array>
#include <cstring>

namespace mghft {

namespace {

// The transform from the profile's colours, in `format`, to sRGB, in `to`. Null if the profile is damaged, too large,
// of another colour space, or calls itself sRGB.
cmsHTRANSFORM transform_of(std::string_view profile, cmsColorSpaceSignature space, cmsUInt32Number format,
                           cmsUInt32Number to, cmsUInt32Number flags) {
    if (profile.empty() || profile.size() > kMostProfile) return nullptr;
    const cmsHPROFILE source = cmsOpenProfileFromMem(profile.data(), cmsUInt32Number(profile.size()));
    if (source == nullptr) return nullptr;
    cmsHTRANSFORM transform = nullptr;
    std::array<char, 256> name{};
    cmsGetProfileInfoASCII(source, cmsInfoDescription, "en", "US", name.data(), cmsUInt32Number(name.size()) - 1);
    if (cmsGetColorSpace(source) == space && std::strstr(name.data(), "sRGB") == nullptr) {
        const cmsHPROFILE srgb = cmsCreate_sRGBProfile();
        transform = cmsCreateTransform(source, format, srgb, to, INTENT_PERCEPTUAL, flags);
        cmsCloseProfile(srgb);
    }
    cmsCloseProfile(source);
    return transform;
}

}  // namespace

void to_srgb(Pixels& pixels, std::string_view profile) {
    const cmsUInt32Number format = pixels.channels == 4 ? TYPE_RGBA_8 : TYPE_RGB_8;
    const cmsHTRANSFORM transform = transform_of(profile, cmsSigRgbData, format, format, cmsFLAGS_COPY_ALPHA);
    if (transform == nullptr) return;
    for (int y = 0; y < pixels.height; ++y) {
        cmsDoTransform(transform, pixels.at(0, y), pixels.at(0, y), cmsUInt32Number(pixels.width));
    }
    cmsDeleteTransform(transform);
}

CmykTransform::CmykTransform(std::string_view profile)
    : transform_(transform_of(profile, cmsSigCmykData, TYPE_CMYK_8_REV, TYPE_RGB_8, 0)) {}

CmykTransform::~CmykTransform() {
    if (transform_ != nullptr) cmsDeleteTransform(transform_);
}

void CmykTransform::apply(const std::uint8_t* cmyk, std::size_t count, std::uint8_t* rgb) const {
    cmsDoTransform(transform_, cmyk, rgb, cmsUInt32Number(count));
}

}  // namespace mghft
