#include "bench_stickers.hpp"

#include <png.h>

#include <cmath>
#include <filesystem>
#include <system_error>

#include "files.hpp"
#include "json.hpp"
#include "pixels.hpp"
#include "text.hpp"

namespace mghft::run {

namespace {

constexpr std::size_t kRotation = 4;  // batches that take turns
constexpr int kSide = 512;            // pixels of a made-up sticker's side, as messengers have them
constexpr int kMadeUp = 8;

// A disc with a gradient on a transparent background: as large as a sticker and as much work to decode and composite.
std::string made_up_image(int number) {
    Pixels image(kSide, kSide, 4);
    const double radius = kSide * (0.3 + 0.02 * number);
    for (int y = 0; y < kSide; ++y) {
        for (int x = 0; x < kSide; ++x) {
            const double distance = std::hypot(x - kSide / 2.0, y - kSide / 2.0);
            const double alpha = std::min(std::max(radius - distance, 0.0), 1.0);
            std::uint8_t* pixel = image.at(x, y);
            pixel[0] = static_cast<std::uint8_t>(128 + 100 * std::sin((x + number) / 20.0));
            pixel[1] = static_cast<std::uint8_t>(y * 255 / kSide);
            pixel[2] = static_cast<std::uint8_t>(x * 255 / kSide);
            pixel[3] = static_cast<std::uint8_t>(alpha * 255);
        }
    }
    png_image png{};
    png.version = PNG_IMAGE_VERSION;
    png.width = png.height = kSide;
    png.format = PNG_FORMAT_RGBA;
    std::string file(PNG_IMAGE_PNG_SIZE_MAX(png), '\0');
    png_alloc_size_t size = file.size();
    if (png_image_write_to_memory(&png, file.data(), &size, 0, image.values.data(), 0, nullptr) == 0) {
        throw Error(text("libpng cannot write an image (", png.message, "); install libpng again"));
    }
    file.resize(size);
    return file;
}

std::vector<BenchSticker> made_up() {
    std::vector<BenchSticker> stickers;
    for (int number = 0; number < kMadeUp; ++number) {
        stickers.push_back({"", made_up_image(number),
                            text("#The sticker's intention is to help the sender say something for the ", number + 1,
                                 "th time. #The sticker's style is a smooth drawing with soft colour transitions. "
                                 "#The sticker's main role is a round face. "
                                 "#The sticker's gesture can be described as wide eyes and raised brows.")});
    }
    return stickers;
}

}  // namespace

std::vector<BenchSticker> bench_stickers(const std::string& folder) {
    if (folder.empty()) return made_up();
    const std::filesystem::path root(folder);
    std::vector<BenchSticker> stickers;
    try {
        const JsonDocument document(read_file(root / "manifest.json"));
        const JsonValue rows = document.root()["stickers"];
        for (std::size_t index = 0; index < rows.size(); ++index) {
            const auto path = root / rows.item(index)["path"].string();
            if (!is_inside(root, path)) rows.item(index).fail("is outside the folder");
            stickers.push_back({path.string(), "", rows.item(index)["text"].string()});
        }
    } catch (const std::system_error& error) {
        throw Error(text(folder, " is no calibration set (", error.code().message(),
                         "); make one with `mghft-export calibrate`"));
    } catch (const JsonError& error) {
        throw Error(
            text(folder, " is no calibration set (", error.what(), "); make one with `mghft-export calibrate`"));
    }
    if (stickers.empty()) throw Error(folder + " has no stickers; make a set with `mghft-export calibrate`");
    return stickers;
}

std::vector<std::vector<BenchSticker>> sticker_batches(const std::vector<BenchSticker>& stickers, int batch) {
    std::vector<std::vector<BenchSticker>> batches(kRotation);
    for (std::size_t number = 0; number < kRotation; ++number) {
        for (std::size_t item = 0; item < std::size_t(batch); ++item) {
            batches[number].push_back(stickers[(number * std::size_t(batch) + item) % stickers.size()]);
        }
    }
    return batches;
}

}  // namespace mghft::run
