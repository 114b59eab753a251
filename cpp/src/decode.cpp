#include "decode.hpp"

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

#include "avif.hpp"
#include "bmp.hpp"
#include "byte_reader.hpp"
#include "colour.hpp"
#include "files.hpp"
#include "gif.hpp"
#include "jpeg.hpp"
#include "messengers.hpp"
#include "mghft/mghft.hpp"
#include "png.hpp"
#include "pnm.hpp"
#include "text.hpp"
#include "tiff.hpp"
#include "webp.hpp"

namespace mghft {

namespace {

using Open = MaybeOpened (*)(std::string_view);

// The decoder for a content's first bytes, whatever the file's name says; null if they are of no known format.
Open opener_of(std::string_view content) {
    if (part(content, 0, 8) == kPngSignature) return open_png;
    if (part(content, 0, 3) == "\xFF\xD8\xFF") return open_jpeg;
    if (is_gif(content)) return open_gif;
    if (is_webp(content)) return open_webp;
    if (is_avif(content)) return open_avif;
    if (part(content, 0, 2) == "BM") return open_bmp;
    if (is_pnm(content)) return open_pnm;
    if (is_tiff(content)) return open_tiff;
    return nullptr;
}

// The number with a comma between thousands.
std::string grouped(std::uint64_t number) {
    std::string digits = std::to_string(number);
    for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
    return digits;
}

[[noreturn]] void refuse_damaged(const std::string& name) {
    throw Error(text(name, " is damaged or cut short; save or download it again"));
}

std::size_t frame_index(const std::string& frame, std::size_t frames, const std::string& name) {
    if (frame == "first") return 0;
    if (frame == "middle") return frames / 2;
    const std::string digits = frame.substr(frame.rfind('-', 0) == 0 ? 1 : 0);
    if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) {
        throw Error(text(name, " has no frame '", frame, "'; choose 'first', 'middle' or a number"));
    }
    // A negative number, or one with more digits than any frame count, is out of range.
    const bool in_range = digits == frame && digits.size() < 10 && std::stoul(digits) < frames;
    if (!in_range) {
        throw Error(text(name, " has ", frames, frames == 1 ? " frame" : " frames", ", so no number ", frame,
                         "; choose one from 0 to ", frames - 1));
    }
    return std::stoul(digits);
}

}  // namespace

Opened open_content(std::string_view content, const std::string& name, std::uint64_t max_pixels) {
    const Open open = opener_of(content);
    if (open == nullptr) {
        const std::string_view format = python_format(content);
        if (format.empty()) throw Error(text(name, " cannot be read as an image; save it as PNG, JPEG, GIF or WebP"));
        throw Error(text(name, " is ", format, "; mghft-export reads it after: pip install 'mghft-export[formats]'"));
    }
    MaybeOpened opened;
    try {
        opened = open(content);
    } catch (const UnknownRange&) {
        throw Error(text(name, " holds floating-point or 32-bit values of unknown range; save it as an 8-bit PNG"));
    } catch (const std::bad_alloc&) {
        throw Error(text(name, " does not fit into memory; scale it down"));
    }
    if (!opened) refuse_damaged(name);
    const std::uint64_t most = std::min<std::uint64_t>(max_pixels, kMostPixels);
    if (std::uint64_t{opened->width} * opened->height > most) {
        throw Error(text(name, " is too large (", opened->width, " x ", opened->height, "); scale it down to at most ",
                         grouped(most), " pixels"));
    }
    return std::move(*opened);
}

Pixels decode_image(std::string_view content, const std::string& name, const std::string& frame,
                    std::uint64_t max_pixels) {
    const Opened opened = open_content(content, name, max_pixels);
    const std::size_t index = frame_index(frame, opened.frames, name);
    const std::uint64_t cost =
        opened.cost ? opened.cost(index) : (index + 1) * std::uint64_t{opened.width} * opened.height;
    if (index > 0 && cost > max_pixels) {
        throw Error(text(name, " has too many frames to reach number ", index, " of ", opened.frames, " within ",
                         grouped(max_pixels), " pixels; choose an earlier frame"));
    }
    std::optional<Pixels> pixels;
    try {
        pixels = opened.read(index);
    } catch (const std::bad_alloc&) {
        throw Error(text(name, " does not fit into memory; scale it down"));
    }
    if (!pixels) refuse_damaged(name);
    to_srgb(*pixels, opened.profile);
    return oriented(std::move(*pixels), opened.orientation);
}

Pixels open_image(const std::string& path, const std::string& frame, std::uint64_t max_pixels) {
    std::string content;
    try {
        std::error_code unknown;
        const std::uintmax_t size = std::filesystem::file_size(path, unknown);
        if (!unknown && size > kMostFileBytes) {
            throw Error(text(path, " has more than ", grouped(kMostFileBytes), " bytes; scale it down"));
        }
        content = read_file(path);
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::no_such_file_or_directory) {
            throw Error(text("there is no file ", path, "; check the path"));
        }
        if (error.code() == std::errc::is_a_directory || error.code() == std::errc::invalid_argument) {
            throw Error(text(path, " is not a file; give the path of one image"));
        }
        throw Error(text("cannot read ", path, ": ", error.code().message(), "; check the path and its permissions"));
    }
    if (content.empty()) throw Error(text(path, " is empty; save or download it again"));
    return decode_image(content, path, frame, max_pixels);
}

}  // namespace mghft
