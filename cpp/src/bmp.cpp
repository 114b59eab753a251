#include "bmp.hpp"

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "byte_reader.hpp"

namespace mghft {

namespace {

constexpr std::uint32_t kNone = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3;

struct Bmp {
    std::uint32_t width = 0, height = 0, bits = 0, compression = kNone;
    bool top_down = false;
    std::array<std::uint32_t, 4> masks{};            // red, green, blue, alpha
    std::vector<std::array<std::uint8_t, 3>> palette;  // red, green, blue
    std::string_view pixels;
};

// Whether this program can read the channels: each a byte of 32 bits, or 5 or 6 bits of 16.
bool are_known(const Bmp& bmp) {
    const auto& masks = bmp.masks;
    if (bmp.bits == 16) {
        const bool is_555 = masks[0] == 0x7C00 && masks[1] == 0x3E0, is_565 = masks[0] == 0xF800 && masks[1] == 0x7E0;
        return (is_555 || is_565) && masks[2] == 0x1F;
    }
    for (std::size_t channel = 0; channel < 4; ++channel) {
        const std::uint32_t mask = masks[channel];
        const bool is_byte = mask == 0xFF || mask == 0xFF00 || mask == 0xFF0000 || mask == 0xFF000000;
        if (!is_byte && (channel < 3 || mask != 0)) return false;
    }
    return true;
}

bool read_masks(std::string_view content, std::uint32_t header, Bmp& bmp) {
    if (bmp.compression != kBitfields) {
        bmp.masks = bmp.bits == 16 ? std::array<std::uint32_t, 4>{0x7C00, 0x3E0, 0x1F, 0}
                                   : std::array<std::uint32_t, 4>{0xFF0000, 0xFF00, 0xFF, 0};
        return true;
    }
    for (std::size_t channel = 0; channel < (header >= 56 ? 4U : 3U); ++channel) {
        const auto mask = little(content, 54 + 4 * channel, 4);
        if (!mask) return false;
        bmp.masks[channel] = *mask;
    }
    return are_known(bmp);
}

std::optional<Bmp> parse(std::string_view content) {
    Bmp bmp;
    const auto offset = little(content, 10, 4), header = little(content, 14, 4);
    if (!offset || !header) return std::nullopt;
    const bool old = *header == 12;
    const bool known = *header == 40 || *header == 52 || *header == 56 || *header == 64 || *header == 108 || *header == 124;
    if (!old && !known) return std::nullopt;
    const std::size_t size = old ? 2 : 4;
    const auto width = little(content, 18, size), height = little(content, 18 + size, size);
    const auto bits = little(content, 20 + 2 * size, 2);
    const auto compression = old ? std::optional<std::uint32_t>(kNone) : little(content, 30, 4);
    const auto used = old ? std::optional<std::uint32_t>(0) : little(content, 46, 4);
    if (!width || !height || !bits || !compression || !used) return std::nullopt;
    bmp.width = *width;
    bmp.top_down = !old && *height >> 31 != 0;
    bmp.height = bmp.top_down ? ~*height + 1 : *height;
    bmp.bits = *bits;
    bmp.compression = *compression;
    const bool has_palette = bmp.bits == 1 || bmp.bits == 4 || bmp.bits == 8;
    const bool has_masks = bmp.bits == 16 || bmp.bits == 32;
    if ((!has_palette && !has_masks && bmp.bits != 24) || bmp.width == 0 || bmp.height == 0 || bmp.width >> 31 != 0) {
        return std::nullopt;
    }
    const bool sound = bmp.compression == kNone || (bmp.compression == kRle8 && bmp.bits == 8) ||
                       (bmp.compression == kRle4 && bmp.bits == 4) || (bmp.compression == kBitfields && has_masks);
    if (!sound || (has_masks && !read_masks(content, *header, bmp))) return std::nullopt;
    if (has_palette) {
        const std::size_t entry = old ? 3 : 4, start = std::size_t{14} + *header;
        const std::uint32_t count = *used == 0 ? 1U << bmp.bits : *used;
        if (count > 256) return std::nullopt;
        bmp.palette.resize(256);
        for (std::size_t index = 0; index < count; ++index) {
            const std::string_view colour = part(content, start + entry * index, 3);
            if (colour.size() < 3) return std::nullopt;
            for (std::size_t channel = 0; channel < 3; ++channel) {
                bmp.palette[index][channel] = static_cast<std::uint8_t>(colour[2 - channel]);
            }
        }
    }
    bmp.pixels = part(content, *offset, content.npos);
    return bmp;
}

// One index per pixel, from the first row of the file on. Pixels that the runs skip have colour 0.
std::optional<std::vector<std::uint8_t>> unpacked_runs(const Bmp& bmp) {
    std::vector<std::uint8_t> indices(std::size_t{bmp.width} * bmp.height);
    std::size_t at = 0;
    std::uint32_t x = 0, y = 0;
    const auto put = [&](std::uint32_t index) {
        if (x < bmp.width && y < bmp.height) indices[std::size_t{y} * bmp.width + x] = static_cast<std::uint8_t>(index);
        ++x;
    };
    // At 4 bits a pixel, a byte has two pixels.
    const auto put_of = [&](std::uint32_t byte, std::uint32_t number) {
        put(bmp.compression == kRle8 ? byte : number % 2 == 0 ? byte >> 4 : byte & 15);
    };
    while (y < bmp.height) {
        const auto count = little(bmp.pixels, at, 1), value = little(bmp.pixels, at + 1, 1);
        if (!count || !value) return std::nullopt;
        at += 2;
        if (*count > 0) {
            for (std::uint32_t number = 0; number < *count; ++number) put_of(*value, number);
        } else if (*value == 0) {
            x = 0;
            ++y;
        } else if (*value == 1) {
            break;
        } else if (*value == 2) {
            const auto right = little(bmp.pixels, at, 1), up = little(bmp.pixels, at + 1, 1);
            if (!right || !up) return std::nullopt;
            x += *right;
            y += *up;
            at += 2;
        } else {
            const std::size_t bytes = bmp.compression == kRle8 ? *value : (*value + 1) / 2;
            for (std::uint32_t number = 0; number < *value; ++number) {
                const auto byte = little(bmp.pixels, at + (bmp.compression == kRle8 ? number : number / 2), 1);
                if (!byte) return std::nullopt;
                put_of(*byte, number);
            }
            at += (bytes + 1) / 2 * 2;
        }
    }
    return indices;
}

std::uint8_t channel_of(std::uint32_t value, std::uint32_t mask) {
    std::uint32_t top = mask;
    for (; (top & 1) == 0; top >>= 1) value >>= 1;
    return static_cast<std::uint8_t>((value & top) * 255 / top);
}

std::optional<Pixels> decode(const Bmp& bmp) {
    std::optional<std::vector<std::uint8_t>> runs;
    const std::size_t row_bytes = (std::size_t{bmp.width} * bmp.bits + 31) / 32 * 4;
    if (bmp.compression == kRle8 || bmp.compression == kRle4) {
        runs = unpacked_runs(bmp);
        if (!runs) return std::nullopt;
    } else if (bmp.pixels.size() < row_bytes * (bmp.height - 1) + (std::size_t{bmp.width} * bmp.bits + 7) / 8) {
        return std::nullopt;
    }
    Pixels pixels(int(bmp.width), int(bmp.height), bmp.masks[3] != 0 ? 4 : 3);
    for (std::uint32_t row = 0; row < bmp.height; ++row) {
        std::uint8_t* to = pixels.at(0, int(bmp.top_down ? row : bmp.height - 1 - row));
        const std::string_view from = runs ? std::string_view{} : bmp.pixels.substr(row_bytes * row);
        for (std::uint32_t x = 0; x < bmp.width; ++x, to += pixels.channels) {
            if (runs) {
                std::memcpy(to, bmp.palette[(*runs)[std::size_t{row} * bmp.width + x]].data(), 3);
            } else if (!bmp.palette.empty()) {
                const std::uint32_t bit = x * bmp.bits, byte = static_cast<unsigned char>(from[bit / 8]);
                std::memcpy(to, bmp.palette[byte >> (8 - bmp.bits - bit % 8) & ((1U << bmp.bits) - 1)].data(), 3);
            } else if (bmp.bits == 24) {
                for (std::size_t channel = 0; channel < 3; ++channel) {
                    to[channel] = static_cast<std::uint8_t>(from[3 * std::size_t{x} + 2 - channel]);
                }
            } else {
                const std::uint32_t value = *little(from, std::size_t{x} * bmp.bits / 8, bmp.bits / 8);
                for (std::size_t channel = 0; channel < std::size_t(pixels.channels); ++channel) {
                    to[channel] = channel_of(value, bmp.masks[channel]);
                }
            }
        }
    }
    return pixels;
}

}  // namespace

MaybeOpened open_bmp(std::string_view content) {
    auto parsed = parse(content);
    if (!parsed) return std::nullopt;
    const auto bmp = std::make_shared<const Bmp>(std::move(*parsed));
    Opened opened;
    opened.width = bmp->width;
    opened.height = bmp->height;
    opened.read = [bmp](std::size_t) { return decode(*bmp); };
    return opened;
}

}  // namespace mghft
