#include "messengers.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string>

#include "byte_reader.hpp"

namespace mghft {

namespace {

bool is_space(char letter) {
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

std::string lowered(std::string_view text) {
    std::string lower(text);
    for (char& letter : lower) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    }
    return lower;
}

// Whether the content is SVG: the svg element is the first one, or follows a declaration or a comment. An HTML page
// with a drawing is not SVG.
bool is_svg(std::string_view content) {
    constexpr std::string_view kDoctype = "!doctype", kRoot = "<svg";
    constexpr std::size_t kFarthest = 65536;
    if (part(content, 0, 3) == "\xEF\xBB\xBF") content.remove_prefix(3);
    while (!content.empty() && is_space(content.front())) content.remove_prefix(1);
    const std::string start = lowered(part(content, 0, kFarthest + 8));
    const auto is_root = [&](std::size_t at) {
        return start.compare(at, kRoot.size(), kRoot) == 0 && at + kRoot.size() < start.size() &&
               (is_space(start[at + kRoot.size()]) || start[at + kRoot.size()] == '>');
    };
    if (start.empty() || start[0] != '<') return false;
    if (is_root(0)) return true;
    if (start.size() < 2 || (start[1] != '?' && start[1] != '!')) return false;
    if (start.compare(1, kDoctype.size(), kDoctype) == 0) {
        std::size_t at = 1 + kDoctype.size();
        const std::size_t word = at;
        while (at < start.size() && is_space(start[at])) ++at;
        if (at > word && start.compare(at, 4, "html") == 0) return false;
    }
    for (std::size_t at = start.find(kRoot, 2); at != start.npos; at = start.find(kRoot, at + 1)) {
        if (is_root(at)) return true;
    }
    return false;
}

// The start of the content of a gzip file; empty if the file is damaged.
std::string unpacked_start(std::string_view content) {
    std::array<char, 4096> start;
    z_stream stream{};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return {};
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
    stream.avail_in = static_cast<uInt>(std::min<std::size_t>(content.size(), 1U << 20));
    stream.next_out = reinterpret_cast<Bytef*>(start.data());
    stream.avail_out = static_cast<uInt>(start.size());
    const int state = inflate(&stream, Z_SYNC_FLUSH);
    inflateEnd(&stream);
    const bool sound = state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR;
    return sound ? std::string(start.data(), start.size() - stream.avail_out) : std::string{};
}

}  // namespace

std::string_view python_format(std::string_view content) {
    constexpr std::string_view kDrawing = "an SVG drawing";
    if (part(content, 0, 4) == "\x1A\x45\xDF\xA3") return "a WebM video";
    if (part(content, 4, 4) == "ftyp") {
        for (const char* brand : {"heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"}) {
            if (part(content, 8, 4) == brand) return "a HEIC photo";
        }
    }
    if (part(content, 0, 2) == "\xFF\x0A" || part(content, 0, 12) == std::string_view("\0\0\0\x0CJXL \r\n\x87\n", 12)) {
        return "a JPEG XL image";
    }
    if (part(content, 0, 2) == "\x1F\x8B") {
        const std::string start = unpacked_start(content);
        const auto first = std::find_if_not(start.begin(), start.end(), is_space);
        if (first != start.end() && *first == '{') return "a Lottie animation (TGS)";
        return is_svg(start) ? kDrawing : std::string_view{};
    }
    return is_svg(content) ? kDrawing : std::string_view{};
}

}  // namespace mghft
