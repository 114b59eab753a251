// Headers, orientations, resampling; the same pixels as Pillow are tested from Python.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "decode.hpp"
#include "orientation.hpp"
#include "pixels.hpp"
#include "preprocess.hpp"
#include "resize_task.hpp"

using namespace mghft;

namespace {

ImageEntry entry(int height, int width) {
    return {height, width, 0.875, {0.485F, 0.456F, 0.406F}, {0.229F, 0.224F, 0.225F}, {255, 128, 0}};
}

std::vector<std::uint8_t> noise(std::size_t count) {
    std::mt19937 random(3);
    std::vector<std::uint8_t> values(count);
    for (auto& value : values) value = static_cast<std::uint8_t>(random());
    return values;
}

}  // namespace

TEST_CASE("an image is turned as EXIF says") {
    Pixels image(2, 3, 3);  // a b / c d / e f
    for (std::size_t index = 0; index < 6; ++index) image.values[index * 3] = static_cast<std::uint8_t>('a' + index);
    const auto letters = [&](int orientation) {
        const Pixels turned = oriented(image, orientation);
        CHECK(turned.width == (orientation >= 5 && orientation <= 8 ? 3 : 2));
        std::string text;
        for (std::size_t index = 0; index < 6; ++index) text += static_cast<char>(turned.values[index * 3]);
        return text;
    };
    CHECK(letters(1) == "abcdef");
    CHECK(letters(2) == "badcfe");
    CHECK(letters(3) == "fedcba");
    CHECK(letters(4) == "efcdab");
    CHECK(letters(5) == "acebdf");
    CHECK(letters(6) == "ecafdb");
    CHECK(letters(7) == "fdbeca");
    CHECK(letters(8) == "bdface");
    CHECK(letters(9) == "abcdef");
}

TEST_CASE("orientation is read in both byte orders, and not where EXIF is damaged") {
    const std::string little("II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 22);
    const std::string big("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0", 22);
    CHECK(exif_orientation(little) == 6);
    CHECK(exif_orientation(big) == 3);
    for (std::size_t length = 0; length < 20; ++length) CHECK_FALSE(exif_orientation(little.substr(0, length)));
    CHECK_FALSE(exif_orientation(std::string("II*\0\xFF\xFF\xFF\xFF", 8)));
    CHECK(exif_orientation(std::string(kExifPrefix) + std::string(kExifPrefix) + big) == 3);
    std::string none = little;
    none[14] = 0;  // the number of values
    CHECK_FALSE(exif_orientation(none));
}

TEST_CASE("orientation is read from XMP, an attribute or an element, and from a profile in text") {
    CHECK(xmp_orientation("<a tiff:Orientation=\"6\"/>") == 6);
    CHECK(xmp_orientation("<a tiff:Orientation = '8' />") == 8);
    CHECK(xmp_orientation("<tiff:Orientation>3</tiff:Orientation>") == 3);
    CHECK(xmp_orientation("tiff:Orientation tiff:Orientation=\"9\" tiff:Orientation=\"2\"") == 2);
    CHECK_FALSE(xmp_orientation("tiff:Orientation=\"3"));
    CHECK_FALSE(xmp_orientation("tiff:Orientation=33"));
    CHECK(raw_profile("\nexif\n       3\n414\n") == "");
    CHECK(raw_profile("\nexif\n       3\n4142\n43\n") == "ABC");
    CHECK(raw_profile("exif 3 41zz") == "");
    const std::string_view damaged = "no EXIF", turned = "tiff:Orientation=\"5\"";
    CHECK(orientation_of(std::vector{damaged}, std::vector{turned}) == 5);
    CHECK(orientation_of(std::vector{damaged}, std::vector{damaged}) == 1);
}

TEST_CASE("no prefix of an image reads beyond its end") {
    const std::string png("\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x08\x06\0\0\0", 29);
    for (std::size_t length = 0; length < png.size(); ++length) {
        CHECK_THROWS_AS(open_content(png.substr(0, length), "cut.png"), Error);
    }
    CHECK_THROWS_WITH_AS(open_content("neither", "x"), doctest::Contains("x cannot be read as an image"), Error);
}

namespace {

std::string png_chunk(const std::string& kind, const std::string& data) {
    const std::string all = kind + data;
    std::string chunk("\0\0\0", 3);
    chunk += static_cast<char>(data.size());
    chunk += all;
    std::uint32_t checksum = 0xFFFFFFFF;
    for (const char byte : all) {
        checksum ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; ++bit) checksum = checksum >> 1 ^ ((checksum & 1) != 0 ? 0xEDB88320 : 0);
    }
    for (int shift = 24; shift >= 0; shift -= 8) chunk += static_cast<char>(~checksum >> shift & 255);
    return chunk;
}

const std::string kSignature = "\x89PNG\r\n\x1a\n";
const std::string kLarge("\0\x01\0\0\0\x01\0\0\x08\x06\0\0\0", 13);

}  // namespace

TEST_CASE("an image of too many pixels is refused before it is decoded") {
    const std::string png = kSignature + png_chunk("IHDR", kLarge) + png_chunk("IDAT", "") + png_chunk("IEND", "");
    CHECK_THROWS_WITH_AS(decode_image(png, "bomb.png"),
                         "bomb.png is too large (65536 x 65536); scale it down to at most 134,217,728 pixels", Error);
}

TEST_CASE("an image has the size that it says first") {
    const std::string small("\0\0\0\x02\0\0\0\x02\x08\x06\0\0\0", 13);
    const std::string png = kSignature + png_chunk("IHDR", kLarge) + png_chunk("IHDR", small) + png_chunk("IDAT", "");
    CHECK_THROWS_WITH_AS(decode_image(png, "bomb.png"), doctest::Contains("bomb.png is too large"), Error);
    CHECK_THROWS_WITH_AS(open_content(kSignature + png_chunk("IHDR", std::string(13, '\0')) + png_chunk("IHDR", small), "x"),
                         doctest::Contains("damaged"), Error);

    const auto webp_chunk = [](const std::string& kind, const std::string& data) {
        return kind + static_cast<char>(data.size()) + std::string(3, '\0') + data + std::string(data.size() % 2, '\0');
    };
    const auto webp = [](const std::string& chunks) {
        return std::string("RIFF", 4) + static_cast<char>(4 + chunks.size()) + std::string(3, '\0') + "WEBP" + chunks;
    };
    const std::string wide = webp_chunk("VP8X", std::string("\x02\0\0\0\xFF\x7F\0\xFF\x7F\0", 10));
    const std::string animated = webp_chunk("VP8X", std::string("\x02\0\0\0\x01\0\0\x01\0\0", 10));
    CHECK_THROWS_WITH_AS(open_content(webp(wide + animated), "w"), doctest::Contains("damaged"), Error);
}

TEST_CASE("a frame is named by a word or a number") {
    const std::string pnm = "P1 1 1 0";
    CHECK(decode_image(pnm, "p", "first").values == std::vector<std::uint8_t>{255, 255, 255});
    CHECK(decode_image(pnm, "p", "0").values.size() == 3);
    for (const std::string frame : {"1", "-1", "99999999999999999999"}) {
        CHECK_THROWS_WITH_AS(decode_image(pnm, "p", frame),
                             ("p has 1 frame, so no number " + frame + "; choose one from 0 to 0").c_str(), Error);
    }
    for (const std::string frame : {"last", "", "-", "1x"}) {
        CHECK_THROWS_WITH_AS(decode_image(pnm, "p", frame),
                             ("p has no frame '" + frame + "'; choose 'first', 'middle' or a number").c_str(), Error);
    }
}

TEST_CASE("the weights of a pixel add up to one") {
    Axis axis;
    for (const auto& [source, resized] : {std::pair{512, 73}, {73, 512}, {1, 256}, {5000, 256}}) {
        plan_axis(axis, source, resized, 0, resized);
        for (int pixel = 0; pixel < resized; ++pixel) {
            const auto start = axis.weights.begin() + std::ptrdiff_t{pixel} * axis.taps;
            const int sum = std::accumulate(start, start + axis.counts[std::size_t(pixel)], 0);
            CHECK(std::abs(sum - (1 << kWeightBits)) <= axis.taps);
        }
    }
}

TEST_CASE("crops start where Python's rounding puts them") {
    CHECK(crop_start(256, 224) == 16);
    CHECK(crop_start(225, 224) == 0);  // 0.5
    CHECK(crop_start(227, 224) == 2);  // 1.5
    CHECK(crop_start(229, 224) == 2);  // 2.5
}

TEST_CASE("a transparent pixel is the background, an opaque one itself") {
    CHECK(over(10, 0, 200) == 200);
    CHECK(over(10, 255, 200) == 10);
    CHECK(over(0, 128, 255) == 127);
}

TEST_CASE("images that are none are refused") {
    Preprocessor preprocessor(entry(32, 32));
    const std::uint8_t pixels[16] = {};
    CHECK_THROWS_AS(preprocessor.resize({nullptr, 2, 2, 4, 8}), Error);
    CHECK_THROWS_AS(preprocessor.resize({pixels, 0, 2, 4, 8}), Error);
    CHECK_THROWS_AS(preprocessor.resize({pixels, 2, 2, 2, 8}), Error);
    CHECK_THROWS_AS(preprocessor.resize({pixels, 2, 2, 4, 7}), Error);
    CHECK_THROWS_AS(preprocessor.resize({pixels, 1 << 30, 1 << 30, 4, std::ptrdiff_t{1} << 32}), Error);
}

TEST_CASE("what a thread of the CUDA kernel computes is what the CPU does") {
    const std::vector<std::uint8_t> pixels = noise(300 * 200 * 4);
    for (const auto& [width, height, channels] : {std::tuple{300, 200, 4}, {17, 200, 4}, {300, 9, 3}, {1, 1, 4}}) {
        const ImageEntry wanted = entry(64, 96);
        const ImageView image{pixels.data(), width, height, channels, 300 * 4};
        std::vector<float> expected(3 * 64 * 96);
        Preprocessor(wanted).write(image, ElementType::kFloat32, expected.data());

        Axis columns, rows;
        const Size size = resized_size({width, height}, {96, 64}, wanted.crop_fraction);
        plan_axis(columns, width, size.width, crop_start(size.width, 96), 96);
        plan_axis(rows, height, size.height, crop_start(size.height, 64), 64);
        ResizeTask task{image.pixels, image.row_bytes, channels, {}, {}, 96, 64, {255, 128, 0}, {}, {}};
        task.columns = {columns.starts.data(), columns.counts.data(), columns.weights.data(), columns.taps};
        task.rows = {rows.starts.data(), rows.counts.data(), rows.weights.data(), rows.taps};
        std::copy_n(wanted.mean.data(), 3, task.mean);
        std::copy_n(wanted.std.data(), 3, task.std);
        for (int y = 0; y < 64; ++y) {
            for (int x = 0; x < 96; ++x) {
                float values[3];
                resized(task, x, y, values);
                for (int channel = 0; channel < 3; ++channel) {
                    REQUIRE(values[channel] == expected[std::size_t((channel * 64 + y) * 96 + x)]);
                }
            }
        }
    }
}

TEST_CASE("a strip whose resized length has more than 32 bits becomes its middle, as a short one does") {
    CHECK(resized_size({1, 4200000}, {448, 448}, 0.875).height == 2150400000);
    CHECK(resized_size({4200000, 1}, {448, 448}, 0.875).width == 2150400000);
    CHECK(crop_start(2150400000, 448) == 1075199776);
    std::vector<std::uint8_t> pixels(std::size_t{4200000} * 3);
    const std::vector<std::uint8_t> middle = noise(20 * 3);
    std::copy(middle.begin(), middle.end(), pixels.begin() + std::ptrdiff_t{4200000 / 2 - 10} * 3);
    Preprocessor preprocessor(entry(448, 448));
    const std::size_t count = std::size_t{448} * 448 * 3;
    const auto resized = [&](const ImageView& image) {
        const std::uint8_t* found = preprocessor.resize(image);
        return std::vector<std::uint8_t>(found, found + count);
    };
    CHECK(resized({pixels.data(), 1, 4200000, 3, 3}) == resized({middle.data(), 1, 20, 3, 3}));
    CHECK(resized({pixels.data(), 4200000, 1, 3, 4200000 * 3}) == resized({middle.data(), 20, 1, 3, 60}));
}
