#include "png.hpp"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>
#include <memory>
#include <vector>

#include "byte_reader.hpp"
#include "canvas.hpp"
#include "orientation.hpp"

namespace mghft {

namespace {

// Most bytes of a compressed text or profile.
constexpr std::size_t kMostMetadata = std::size_t{1} << 22;

constexpr int kGrey = PNG_COLOR_TYPE_GRAY, kRgb = PNG_COLOR_TYPE_RGB, kPalette = PNG_COLOR_TYPE_PALETTE;

using Parts = std::vector<std::string_view>;

// The content of the chunks.
struct Png {
    std::uint32_t width = 0, height = 0;
    int depth = 0, colour = 0;
    bool interlaced = false;
    std::string_view palette, transparent;
    bool announced = false;  // whether the file says that it is an animation
    Parts still;             // the data of the image that every PNG has
    std::vector<Area> areas;
    std::vector<Parts> data;
    std::vector<std::string> exif, profiles, xmp;
    std::optional<std::string> icc;
    bool is_srgb = false;
};

struct Chunk {
    std::string_view kind, data;
    bool whole = false;  // whether the data are complete
    bool sound = false;  // whether their checksum is right
};

// The chunk at `position`, which then moves behind it; empty at the end mark or at the end of the content.
std::optional<Chunk> next_chunk(std::string_view content, std::size_t& position) {
    const auto length = big(content, position, 4);
    Chunk chunk;
    chunk.kind = part(content, position + 4, 4);
    if (!length || chunk.kind.size() < 4 || chunk.kind == "IEND") return std::nullopt;
    chunk.data = part(content, position + 8, *length);
    if (const auto checksum = big(content, position + 8 + *length, 4)) {
        chunk.whole = true;
        const std::string_view all = part(content, position + 4, std::size_t{4} + *length);
        chunk.sound = crc32_z(0, reinterpret_cast<const Bytef*>(all.data()), all.size()) == *checksum;
    }
    position += std::size_t{12} + *length;
    return chunk;
}

bool is_known(int colour, int depth) {
    switch (colour) {
        case kGrey:
            return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
        case kPalette:
            return depth == 1 || depth == 2 || depth == 4 || depth == 8;
        case kRgb:
        case PNG_COLOR_TYPE_GRAY_ALPHA:
        case PNG_COLOR_TYPE_RGB_ALPHA:
            return depth == 8 || depth == 16;
        default:
            return false;
    }
}

bool read_header(std::string_view data, Png& png) {
    if (data.size() != 13) return false;
    png.width = *big(data, 0, 4);
    png.height = *big(data, 4, 4);
    png.depth = static_cast<int>(*big(data, 8, 1));
    png.colour = static_cast<int>(*big(data, 9, 1));
    png.interlaced = *big(data, 12, 1) == 1;
    return png.width > 0 && png.height > 0 && png.width < (1U << 31) && png.height < (1U << 31) &&
           is_known(png.colour, png.depth) && *big(data, 10, 2) == 0 && *big(data, 12, 1) <= 1;
}

// Empty if the frame is not valid; then only the frames before it count.
std::optional<Area> read_area(std::string_view data, const Png& png) {
    if (data.size() != 26) return std::nullopt;
    Area area;
    area.width = *big(data, 4, 4);
    area.height = *big(data, 8, 4);
    area.x = *big(data, 12, 4);
    area.y = *big(data, 16, 4);
    const std::uint32_t dispose = *big(data, 24, 1), blend = *big(data, 25, 1);
    const bool inside = area.width > 0 && area.height > 0 && std::uint64_t{area.x} + area.width <= png.width &&
                        std::uint64_t{area.y} + area.height <= png.height;
    // The first image of the file has the size of the canvas, whether it is a frame or not.
    const bool whole = area.width == png.width && area.height == png.height;
    if (!inside || dispose > 2 || blend > 1 || (png.still.empty() && !whole)) return std::nullopt;
    area.dispose = dispose == 0 ? Dispose::kKeep : dispose == 1 ? Dispose::kClear : Dispose::kRestore;
    area.replaces = blend == 0;
    return area;
}

// Decompresses at most kMostMetadata bytes; empty if the data are damaged.
std::string inflated(std::string_view data) {
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) return {};
    std::string all;
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
    stream.avail_in = static_cast<uInt>(data.size());
    int state = Z_OK;
    while (state == Z_OK && all.size() < kMostMetadata) {
        std::array<char, 1 << 14> block;
        stream.next_out = reinterpret_cast<Bytef*>(block.data());
        stream.avail_out = static_cast<uInt>(std::min(block.size(), kMostMetadata - all.size()));
        const std::size_t room = stream.avail_out;
        state = inflate(&stream, Z_NO_FLUSH);
        all.append(block.data(), room - stream.avail_out);
    }
    inflateEnd(&stream);
    // Z_BUF_ERROR means cut short; the data before the cut count.
    return state == Z_OK || state == Z_STREAM_END || state == Z_BUF_ERROR ? all : std::string{};
}

void take_metadata(const Chunk& chunk, Png& png) {
    const std::string_view data = chunk.data;
    const std::size_t end = std::min(data.find('\0'), data.size());
    const std::string_view keyword = data.substr(0, end), text = part(data, end + 1, data.npos);
    if (chunk.kind == "eXIf") {
        png.exif.emplace_back(data);
    } else if (chunk.kind == "sRGB") {
        png.is_srgb = true;
    } else if (chunk.kind == "iCCP" && !png.icc) {
        png.icc = inflated(part(text, 1, text.npos));
    } else if ((chunk.kind == "tEXt" || chunk.kind == "zTXt") &&
               (keyword == "Raw profile type exif" || keyword == "Raw profile type APP1")) {
        png.profiles.push_back(
            raw_profile(chunk.kind == "zTXt" ? inflated(part(text, 1, text.npos)) : std::string(text)));
    } else if (chunk.kind == "iTXt" && keyword == "XML:com.adobe.xmp") {
        std::string_view packet = part(text, 2, text.npos);
        for (int field = 0; field < 2; ++field) {  // skips the language and the translated keyword
            packet = part(packet, std::min(packet.find('\0'), packet.size()) + 1, packet.npos);
        }
        png.xmp.push_back(part(text, 0, 1) == "\1" ? inflated(packet) : std::string(packet));
    }
}

// Empty if chunks that the pixels need are missing or damaged.
std::optional<Png> parse(std::string_view content) {
    Png png;
    bool has_header = false, in_frame = false;
    bool over = false;  // whether later frames do not count
    std::size_t position = kPngSignature.size();
    while (const auto chunk = next_chunk(content, position)) {
        const std::string_view kind = chunk->kind, data = chunk->data;
        const bool critical = kind[0] >= 'A' && kind[0] <= 'Z';
        const bool needed = critical || kind == "fdAT";
        if (!chunk->sound && needed && chunk->whole) return std::nullopt;
        if (!chunk->sound && !needed) continue;
        if (!has_header) {
            if (kind != "IHDR" || !read_header(data, png)) return std::nullopt;
            has_header = true;
        } else if (kind == "IDAT") {
            png.still.push_back(data);
            if (in_frame) png.data.back().push_back(data);
        } else if (kind == "PLTE" && png.palette.empty()) {
            png.palette = data;
        } else if (kind == "tRNS" && png.still.empty()) {
            png.transparent = data;
        } else if (kind == "acTL" && png.still.empty()) {
            png.announced = data.size() == 8 && *big(data, 0, 4) > 0;
        } else if (kind == "fcTL" && png.announced && !over) {
            const auto area = read_area(data, png);
            over = !area;
            in_frame = !over;
            if (over) continue;
            png.areas.push_back(*area);
            png.data.emplace_back();
        } else if (kind == "fdAT" && in_frame) {
            if (chunk->whole) {
                png.data.back().push_back(part(data, 4, data.npos));
            } else {
                png.data.back().clear();
            }
        } else if (critical && kind != "PLTE" && kind != "IHDR") {
            return std::nullopt;
        } else {
            take_metadata(*chunk, png);
        }
    }
    if (png.still.empty()) return std::nullopt;
    while (!png.data.empty() && png.data.back().empty()) {  // the file is cut off before the frame's data
        png.data.pop_back();
        png.areas.pop_back();
    }
    for (const Parts& parts : png.data) {
        if (parts.empty()) return std::nullopt;
    }
    return png;
}

void append_number(std::string& target, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) target += static_cast<char>(value >> shift & 255);
}

// The chunk's checksum is not valid, because nothing reads it.
void append_chunk(std::string& target, std::string_view kind, const Parts& parts) {
    std::size_t size = 0;
    for (const std::string_view piece : parts) size += piece.size();
    append_number(target, static_cast<std::uint32_t>(size));
    target += kind;
    for (const std::string_view piece : parts) target += piece;
    append_number(target, 0);
}

// A PNG file with only one frame; the palette is only there because libpng requires one.
std::string file_of(const Png& png, std::uint32_t width, std::uint32_t height, const Parts& parts) {
    std::string file(kPngSignature), header;
    append_number(header, width);
    append_number(header, height);
    header += static_cast<char>(png.depth);
    header += static_cast<char>(png.colour);
    header += std::string_view("\0\0", 2);
    header += static_cast<char>(png.interlaced ? 1 : 0);
    append_chunk(file, "IHDR", {header});
    const std::string palette(std::size_t{3} << std::min(png.depth, 8), '\0');
    if (png.colour == kPalette) append_chunk(file, "PLTE", {palette});
    // Bytes are appended in case the end of the stream is missing; they need not be right.
    Parts stream = parts;
    stream.push_back(std::string_view("\0\0\0\0\0\0\0\0", 8));
    append_chunk(file, "IDAT", stream);
    append_chunk(file, "IEND", {});
    return file;
}

// libpng leaves a function by longjmp if the content is damaged, so objects with a destructor live outside the
// functions that it leaves.
struct Reader {
    explicit Reader(std::string_view content) : rest(content) {}
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    std::string_view rest;
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::jmp_buf failed;
};

[[noreturn]] void fail(png_structp png, png_const_charp) {
    std::longjmp(static_cast<Reader*>(png_get_error_ptr(png))->failed, 1);
}

void ignore(png_structp, png_const_charp) {}

void take(png_structp png, png_bytep target, std::size_t count) {
    std::string_view& rest = static_cast<Reader*>(png_get_io_ptr(png))->rest;
    if (count > rest.size()) png_error(png, "cut short");
    std::memcpy(target, rest.data(), count);
    rest.remove_prefix(count);
}

// Starts reading samples of 8 or 16 bits, as many per pixel as the file has; indices of a palette stay indices.
bool start(Reader& reader) {
    if (setjmp(reader.failed) != 0) return false;
    reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader, fail, ignore);
    reader.info = reader.png == nullptr ? nullptr : png_create_info_struct(reader.png);
    if (reader.info == nullptr) return false;
    png_set_read_fn(reader.png, &reader, take);
    png_set_user_limits(reader.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // the number of pixels is limited already
    png_set_crc_action(reader.png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
    // The stream's end or its checksum may be missing although every row exists.
    png_set_option(reader.png, PNG_IGNORE_ADLER32, PNG_OPTION_ON);
    png_set_option(reader.png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
    png_read_info(reader.png, reader.info);
    if (png_get_color_type(reader.png, reader.info) == kGrey) png_set_expand_gray_1_2_4_to_8(reader.png);
    png_set_packing(reader.png);
    png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    return true;
}

bool read(Reader& reader, png_bytepp rows) {
    if (setjmp(reader.failed) != 0) return false;
    png_read_image(reader.png, rows);
    return true;
}

// The palette's colours; colours that it lacks are black.
std::array<std::array<std::uint8_t, 4>, 256> colours_of(const Png& png) {
    std::array<std::array<std::uint8_t, 4>, 256> table;
    for (std::size_t index = 0; index < table.size(); ++index) {
        const std::string_view colour = part(png.palette, 3 * index, 3);
        table[index] = {0, 0, 0, 255};
        if (colour.size() == 3) std::memcpy(table[index].data(), colour.data(), 3);
        if (index < png.transparent.size()) table[index][3] = static_cast<std::uint8_t>(png.transparent[index]);
    }
    return table;
}

// The samples of the transparent colour; empty if no colour is transparent.
std::vector<std::uint32_t> transparent_samples(const Png& png) {
    const std::size_t channels = png.colour == kRgb ? 3 : 1;
    std::vector<std::uint32_t> samples;
    if ((png.colour != kRgb && png.colour != kGrey) || png.transparent.size() < 2 * channels) return samples;
    const std::uint32_t top = (1U << png.depth) - 1;
    for (std::size_t channel = 0; channel < channels; ++channel) {
        const std::uint32_t value = *big(png.transparent, 2 * channel, 2);
        // libpng scales samples of 1, 2 and 4 bits to 8 bits.
        samples.push_back(png.depth >= 8 ? value : value <= top ? value * 255 / top : 256);
    }
    return samples;
}

std::optional<Pixels> decode(const Png& png, std::uint32_t width, std::uint32_t height, const Parts& parts) {
    if (png.colour == kPalette && (png.palette.empty() || png.palette.size() % 3 != 0)) return std::nullopt;
    const std::string file = file_of(png, width, height, parts);
    Reader reader(file);
    if (!start(reader)) return std::nullopt;
    const std::size_t channels = png_get_channels(reader.png, reader.info);
    const std::size_t bytes = png.depth == 16 ? 2 : 1, row_bytes = png_get_rowbytes(reader.png, reader.info);
    if (row_bytes != width * channels * bytes) return std::nullopt;
    std::vector<png_bytep> rows(height);
    const auto read_into = [&](std::uint8_t* values) {
        for (std::size_t row = 0; row < height; ++row) rows[row] = values + row * row_bytes;
        return read(reader, rows.data());
    };
    const auto clear = transparent_samples(png);
    if (bytes == 1 && channels >= 3 && clear.empty()) {
        Pixels pixels(int(width), int(height), static_cast<int>(channels));
        if (!read_into(pixels.values.data())) return std::nullopt;
        return pixels;
    }
    std::vector<std::uint8_t> samples(row_bytes * height);
    if (!read_into(samples.data())) return std::nullopt;
    const bool is_grey = channels <= 2, is_palette = png.colour == kPalette;
    const bool has_alpha = channels % 2 == 0 || !clear.empty() || (is_palette && !png.transparent.empty());
    const auto colours = is_palette ? colours_of(png) : decltype(colours_of(png)){};
    Pixels pixels(int(width), int(height), has_alpha ? 4 : 3);
    std::uint8_t* to = pixels.values.data();
    for (const std::uint8_t* from = samples.data(); from != samples.data() + samples.size();
         from += channels * bytes, to += pixels.channels) {
        if (is_palette) {
            std::memcpy(to, colours[*from].data(), std::size_t(pixels.channels));
            continue;
        }
        for (std::size_t channel = 0; channel < 3; ++channel) to[channel] = from[is_grey ? 0 : channel * bytes];
        if (!has_alpha) continue;
        to[3] = channels % 2 == 0 ? from[(channels - 1) * bytes] : 255;
        bool is_clear = !clear.empty();
        for (std::size_t channel = 0; channel < clear.size(); ++channel) {
            const std::uint8_t* sample = from + channel * bytes;
            is_clear = is_clear && clear[channel] == (bytes == 1 ? sample[0] : sample[0] * 256U + sample[1]);
        }
        if (is_clear) to[3] = 0;
    }
    return pixels;
}

}  // namespace

MaybeOpened open_png(std::string_view content) {
    auto parsed = parse(content);
    if (!parsed) return std::nullopt;
    const auto png = std::make_shared<const Png>(std::move(*parsed));
    Opened opened;
    opened.width = png->width;
    opened.height = png->height;
    std::vector<std::string> exif = png->exif;
    exif.insert(exif.end(), png->profiles.begin(), png->profiles.end());
    opened.orientation = orientation_of(exif, png->xmp);
    const bool grey = png->colour == kGrey || png->colour == PNG_COLOR_TYPE_GRAY_ALPHA;
    if (png->icc && !grey && !png->is_srgb) opened.profile = *png->icc;
    if (png->announced && !png->areas.empty()) {
        opened.frames = png->areas.size();
        opened.cost = [png](std::size_t index) { return pixels_to(png->areas, index, png->width, png->height); };
        opened.read = [png](std::size_t index) {
            return composed(png->areas, index, png->width, png->height, [&](std::size_t number) {
                return decode(*png, png->areas[number].width, png->areas[number].height, png->data[number]);
            });
        };
    } else {
        opened.read = [png](std::size_t) { return decode(*png, png->width, png->height, png->still); };
    }
    return opened;
}

}  // namespace mghft
