// Any bytes as tokenizer.json.
#include <cstddef>
#include <cstdint>
#include <string>

#include "mghft/mghft.hpp"
#include "tokenizer.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        mghft::Tokenizer tokenizer(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
        std::vector<std::int64_t> ids;
        tokenizer.encode("a sticker, unable to wave! [CLS] \xC3\xA9\xE4\xB8\xAD", 8, ids);
    } catch (const mghft::Error&) {
    }
    return 0;
}
