// IEEE half precision, as FP16 graphs use it.
#pragma once

#include <cstdint>
#include <cstring>

namespace mghft {

// Rounded to nearest, halves to even.
inline std::uint16_t to_half(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000);
    bits &= 0x7FFFFFFF;
    if (bits > 0x7F800000) return sign | 0x7E00;   // not a number
    if (bits >= 0x477FF000) return sign | 0x7C00;  // rounds to infinity
    if (bits < 0x33000001) return sign;            // rounds to zero
    std::uint32_t mantissa, shift, base;
    if (bits < 0x38800000) {  // subnormal
        mantissa = (bits & 0x7FFFFF) | 0x800000;
        shift = 126 - (bits >> 23);
        base = 0;
    } else {
        mantissa = bits & 0x7FFFFF;
        shift = 13;
        base = ((bits >> 23) - 112) << 10;
    }
    const std::uint32_t rest = mantissa & ((1U << shift) - 1), middle = 1U << (shift - 1);
    std::uint32_t rounded = base + (mantissa >> shift);
    if (rest > middle || (rest == middle && (rounded & 1) != 0)) ++rounded;
    return static_cast<std::uint16_t>(sign | rounded);
}

inline float from_half(std::uint16_t half) {
    const std::uint32_t sign = std::uint32_t{half} << 16 & 0x80000000;
    std::uint32_t exponent = half >> 10 & 31, mantissa = half & 0x3FF;
    std::uint32_t bits;
    if (exponent == 31) {
        bits = sign | 0x7F800000 | mantissa << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        const float value = static_cast<float>(mantissa) * 0x1p-24F;
        std::memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    }
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace mghft
