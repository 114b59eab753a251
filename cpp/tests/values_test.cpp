// Half precision, hashes, UTF-8, shapes of arrays on disk.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "half.hpp"
#include "npy.hpp"
#include "sha256.hpp"
#include "utf8.hpp"

using namespace mghft;

TEST_CASE("every half is read and written as it was") {
    for (std::uint32_t half = 0; half < 0x10000; ++half) {
        const float value = from_half(static_cast<std::uint16_t>(half));
        if (std::isnan(value)) continue;
        REQUIRE(to_half(value) == half);
    }
}

TEST_CASE("floats are rounded to the nearest half, and to the even one of two that are as near") {
    const auto distance = [](float value, int half) {
        // What would follow the largest half is 65536; there infinity begins.
        const double found = half == 0x7C00 ? 65536.0 : from_half(static_cast<std::uint16_t>(half));
        return std::fabs(double{std::fabs(value)} - found);
    };
    for (std::uint32_t step = 0; step < 1U << 20; ++step) {
        const std::uint32_t bits = step * 4099;  // a prime, so that all mantissas and exponents come
        float value;
        std::memcpy(&value, &bits, sizeof value);
        if (std::isnan(value)) continue;
        const int half = to_half(value) & 0x7FFF;
        REQUIRE((to_half(value) >> 15 == 1) == std::signbit(value));
        REQUIRE(half <= 0x7C00);
        for (const int other : {half - 1, half + 1}) {
            if (other < 0 || other > 0x7C00) continue;
            REQUIRE(distance(value, half) <= distance(value, other));
            if (distance(value, half) == distance(value, other) && std::isfinite(value)) REQUIRE(half % 2 == 0);
        }
    }
}

TEST_CASE("SHA-256 of the standard's example") {
    CHECK(hexadecimal(sha256("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256("a", "bc") == sha256("abc"));
}

TEST_CASE("UTF-8 is decoded, and refused where it is none") {
    std::u32string text;
    CHECK(decode_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", text));
    CHECK(text == U"a\u00E9\u20AC\U0001F600");
    for (const char* wrong :
         {"\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x9F\x98", "\xFF"}) {
        std::u32string kept = U"kept";
        CHECK_FALSE(decode_utf8(wrong, kept));
        CHECK(kept == U"kept");
    }
}

namespace {

std::string npy(const std::string& header, const std::string& data) {
    std::string content("\x93NUMPY\x01\x00", 8);
    content += static_cast<char>(header.size() & 255);
    content += static_cast<char>(header.size() >> 8);
    return content + header + data;
}

}  // namespace

TEST_CASE("arrays are read, and refused where their bytes end before they do") {
    const std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }";
    const std::string good = npy(header, std::string("\0\0\x80\x3F\0\0\0\x40", 8));
    CHECK(parse_npy(good).floats() == std::vector<float>{1, 2});
    CHECK_THROWS(parse_npy(std::string_view(good).substr(0, good.size() - 1)));
    CHECK_THROWS(parse_npy(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }", "1234")));
    CHECK_THROWS(parse_npy(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "12345678")));
    CHECK_THROWS(parse_npy(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999, 99999999), }", "")));
    CHECK_THROWS(parse_npy(npy("{'descr': '<U0', 'fortran_order': False, 'shape': (4000000000,), }", "")).strings());
}
