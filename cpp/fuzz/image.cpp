// Any bytes as the file of a sticker, to pixels and to the model's input.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "decode.hpp"
#include "mghft/mghft.hpp"
#include "preprocess.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view content(reinterpret_cast<const char*>(data), size);
    static mghft::Preprocessor preprocessor({32, 64, 0.875, {0, 0, 0}, {1, 1, 1}, {255, 255, 255}});
    try {
        const mghft::Opened opened = mghft::open_content(content, "fuzz");
        // Large images are slow, not dangerous.
        if (std::size_t{opened.width} * opened.height > (1U << 20)) return 0;
        const mghft::Pixels image = mghft::decode_image(content, "fuzz");
        preprocessor.resize({image.values.data(), image.width, image.height, image.channels,
                             std::ptrdiff_t{image.width} * image.channels});
    } catch (const mghft::Error&) {
    }
    return 0;
}
