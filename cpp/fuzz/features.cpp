// Any bytes as text features, an .npz.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mghft/mghft.hpp"
#include "npy.hpp"
#include "text_features.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view content(reinterpret_cast<const char*>(data), size);
    try {
        const auto features = mghft::parse_text_features(content, "fuzz", "branch", 2);
        features.of("cat.png");
    } catch (const mghft::Error&) {
    }
    try {
        // An array by itself, without the archive, whose checksums keep most changes from it.
        const mghft::NpyArray array = mghft::parse_npy(content);
        if (array.count() < 1000) array.floats();
    } catch (const std::runtime_error&) {
    }
    try {
        const mghft::NpyArray array = mghft::parse_npy(content);
        if (array.count() < 1000) array.strings();
    } catch (const std::runtime_error&) {
    }
    return 0;
}
