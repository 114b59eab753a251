// Any bytes as the file of a sticker, to pixels and to the model's input.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "decode.hpp"
#include "image_header.hpp"
#include "mghft/mghft.hpp"
#include "preprocess.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view content(reinterpret_cast<const char*>(data), size);
    const auto header = mghft::read_image_header(content);
    // Large images are slow, not dangerous.
    if (header && std::size_t{header->width} * header->height > (1U << 20)) return 0;
    static mghft::Preprocessor preprocessor({32, 64, 0.875, {0, 0, 0}, {1, 1, 1}, {255, 255, 255}});
    try {
        const mghft::Pixels image = mghft::decode_image(content, "fuzz");
        preprocessor.resize({image.values.data(), image.width, image.height, image.channels,
                             std::ptrdiff_t{image.width} * image.channels});
    } catch (const mghft::Error&) {
    }
    return 0;
}
