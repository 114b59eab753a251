// Any bytes as a sticker's text, to views and token ids.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../tests/stand_in_session.hpp"
#include "mghft/mghft.hpp"
#include "tokenizer.hpp"
#include "views.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static mghft::Tokenizer tokenizer(mghft::stand_in_tokenizer(), "stand-in");
    static std::vector<std::int64_t> ids;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        for (const std::string_view view : mghft::split_views(text)) {
            // A view is a part of the text.
            if (view.data() < text.data() || view.data() + view.size() > text.data() + text.size()) __builtin_trap();
            tokenizer.encode(view, 64, ids);
        }
    } catch (const mghft::Error&) {
    }
    return 0;
}
