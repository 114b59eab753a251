#include "gif.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "byte_reader.hpp"
#include "canvas.hpp"

namespace mghft {

namespace {

struct Frame {
    Area area;
    std::string_view palette;  // empty: the colours are greys
    std::optional<std::uint8_t> transparent;
    bool interlaced = false;
    std::string_view data;  // the size of the first code, then the blocks with their lengths
};

std::size_t palette_bytes(std::uint32_t flags) {
    return (flags & 0x80) != 0 ? std::size_t{3} << ((flags & 7) + 1) : 0;
}

// 2 clears and 3 restores; 4 is an old program's mistake that browsers take for 3. All other numbers keep the frame.
Dispose dispose_of(std::uint32_t number) {
    return number == 2 ? Dispose::kClear : number == 3 || number == 4 ? Dispose::kRestore : Dispose::kKeep;
}

// The position after the empty block that ends the blocks; empty if that block is missing.
std::optional<std::size_t> blocks_end(std::string_view content, std::size_t at) {
    while (const auto length = little(content, at, 1)) {
        at += 1 + *length;
        if (*length == 0) return at;
    }
    return std::nullopt;
}

// All complete frames, and the first frame even if its end is missing.
std::vector<Frame> read_frames(std::string_view content, std::size_t at, std::string_view shared) {
    constexpr std::uint32_t kExtension = 0x21, kImage = 0x2C;
    std::vector<Frame> frames;
    Frame next;
    while (const auto kind = little(content, at, 1)) {
        if (kind == kExtension) {
            if (part(content, at + 1, 2) == "\xF9\x04" && at + 7 <= content.size()) {
                const std::uint32_t flags = *little(content, at + 3, 1);
                next.area.dispose = dispose_of(flags >> 2 & 7);
                next.transparent.reset();
                if ((flags & 1) != 0) next.transparent = static_cast<std::uint8_t>(content[at + 6]);
            }
            const auto end = blocks_end(content, at + 2);
            if (!end) break;
            at = *end;
        } else if (kind == kImage && at + 11 <= content.size()) {
            const std::uint32_t flags = *little(content, at + 9, 1);
            const std::size_t start = at + 10 + palette_bytes(flags);
            const auto end = blocks_end(content, start + 1);
            next.area.x = *little(content, at + 1, 2);
            next.area.y = *little(content, at + 3, 2);
            next.area.width = *little(content, at + 5, 2);
            next.area.height = *little(content, at + 7, 2);
            if (next.area.width == 0 || next.area.height == 0 || (!end && !frames.empty()) || start >= content.size()) {
                break;
            }
            next.palette = palette_bytes(flags) > 0 ? part(content, at + 10, start - at - 10) : shared;
            next.interlaced = (flags & 0x40) != 0;
            next.data = part(content, start, end.value_or(content.size()) - start);
            frames.push_back(next);
            if (!end) break;
            next = {};
            at = *end;
        } else {
            break;  // the trailer, or an unknown block
        }
    }
    return frames;
}

// Reads the codes of the blocks, the lowest bits first.
class Codes {
  public:
    explicit Codes(std::string_view blocks) : rest_(blocks) {}

    // The next code; empty if a block is missing or cut short.
    std::optional<std::uint32_t> next(int size) {
        while (count_ < size) {
            if (block_.empty()) {
                const auto length = little(rest_, 0, 1);
                if (!length || *length == 0 || rest_.size() <= *length) return std::nullopt;
                block_ = rest_.substr(1, *length);
                rest_.remove_prefix(std::size_t{1} + *length);
            }
            bits_ |= std::uint32_t{static_cast<unsigned char>(block_.front())} << count_;
            block_.remove_prefix(1);
            count_ += 8;
        }
        const std::uint32_t code = bits_ & ((1U << size) - 1);
        bits_ >>= size;
        count_ -= size;
        return code;
    }

  private:
    std::string_view rest_, block_;
    std::uint32_t bits_ = 0;
    int count_ = 0;
};

// Decompresses the indices in the order of the file; false if a code is impossible or a pixel is missing.
bool decompress(std::string_view data, std::vector<std::uint8_t>& indices) {
    constexpr std::size_t kTable = 4096;  // codes have at most 12 bits
    const int bits = static_cast<int>(*little(data, 0, 1));
    if (bits < 1 || bits > 8) return false;
    const std::uint32_t clear = 1U << bits, end = clear + 1;
    Codes codes(data.substr(1));
    std::vector<std::uint16_t> prefixes(kTable);
    std::vector<std::uint8_t> last(kTable);  // index of each code
    std::array<std::uint8_t, kTable + 1> string;
    std::uint32_t next = clear + 2, before = 0;
    std::uint8_t first = 0;  // index of the code before
    bool fresh = true;
    int size = bits + 1;
    for (std::size_t count = 0; count < indices.size();) {
        const auto code = codes.next(size);
        if (!code || *code == end) return false;
        if (*code == clear) {
            next = clear + 2;
            size = bits + 1;
            fresh = true;
            continue;
        }
        if (fresh ? *code > clear : *code > next) return false;
        std::size_t start = string.size();
        std::uint32_t rest = *code;
        if (!fresh && rest == next) {
            string[--start] = first;
            rest = before;
        }
        for (; rest >= clear; rest = prefixes[rest]) {
            if (start <= 1) return false;
            string[--start] = last[rest];
        }
        first = static_cast<std::uint8_t>(rest);
        string[--start] = first;
        if (!fresh && next < kTable) {
            last[next] = first;
            prefixes[next] = static_cast<std::uint16_t>(before);
            if (next == (1U << size) - 1 && size < 12) ++size;
            ++next;
        }
        fresh = false;
        before = *code;
        const std::size_t length = std::min(string.size() - start, indices.size() - count);
        std::copy_n(string.begin() + std::ptrdiff_t(start), length, indices.begin() + std::ptrdiff_t(count));
        count += length;
    }
    return true;
}

// The row of each line in the order of the file; interlaced files begin with every eighth row.
std::vector<std::size_t> line_order(const Frame& frame) {
    std::vector<std::size_t> order;
    const auto add = [&](std::size_t first, std::size_t step) {
        for (std::size_t y = first; y < frame.area.height; y += step) order.push_back(y);
    };
    if (frame.interlaced) {
        add(0, 8);
        add(4, 8);
        add(2, 4);
        add(1, 2);
    } else {
        add(0, 1);
    }
    return order;
}

std::array<std::array<std::uint8_t, 4>, 256> colours_of(const Frame& frame) {
    std::array<std::array<std::uint8_t, 4>, 256> table;
    for (std::size_t index = 0; index < table.size(); ++index) {
        const std::string_view colour = part(frame.palette, 3 * index, 3);
        table[index] = {0, 0, 0, 0};  // a colour that is not in the palette is not drawn
        if (frame.palette.empty()) {
            const auto grey = static_cast<std::uint8_t>(index);
            table[index] = {grey, grey, grey, 255};
        } else if (colour.size() == 3) {
            std::memcpy(table[index].data(), colour.data(), 3);
            table[index][3] = 255;
        }
    }
    if (frame.transparent) table[*frame.transparent] = {0, 0, 0, 0};
    return table;
}

std::optional<Pixels> decode(const Frame& frame) {
    const std::size_t width = frame.area.width;
    std::vector<std::uint8_t> indices(width * frame.area.height);
    if (!decompress(frame.data, indices)) return std::nullopt;
    const auto colours = colours_of(frame);
    Pixels pixels(int(frame.area.width), int(frame.area.height), 4);
    const std::uint8_t* index = indices.data();
    for (const std::size_t y : line_order(frame)) {
        for (std::size_t x = 0; x < width; ++x) std::memcpy(pixels.at(int(x), int(y)), colours[*index++].data(), 4);
    }
    return pixels;
}

}  // namespace

bool is_gif(std::string_view content) {
    const std::string_view signature = part(content, 0, 6);
    return signature == "GIF87a" || signature == "GIF89a";
}

MaybeOpened open_gif(std::string_view content) {
    if (content.size() < 11) return std::nullopt;
    const std::size_t colours = palette_bytes(*little(content, 10, 1));
    auto frames = read_frames(content, 13 + colours, part(content, 13, colours));
    if (frames.empty()) return std::nullopt;
    // A first frame larger than the canvas widens it; later frames are cut.
    const Area& first = frames.front().area;
    Opened opened;
    opened.width = std::max(*little(content, 6, 2), first.x + first.width);
    opened.height = std::max(*little(content, 8, 2), first.y + first.height);
    opened.frames = frames.size();
    std::vector<Area> areas;
    for (const Frame& frame : frames) areas.push_back(frame.area);
    opened.cost = [areas, width = opened.width, height = opened.height](std::size_t index) {
        return pixels_to(areas, index, width, height);
    };
    opened.read = [areas, frames = std::move(frames), width = opened.width,
                   height = opened.height](std::size_t index) {
        return composed(areas, index, width, height, [&](std::size_t number) { return decode(frames[number]); });
    };
    return opened;
}

}  // namespace mghft
