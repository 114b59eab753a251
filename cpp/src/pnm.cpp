#include "pnm.hpp"

#include <algorithm>

#include "byte_reader.hpp"

namespace mghft {

namespace {

bool is_space(char letter) {
    return letter == ' ' || (letter >= '\t' && letter <= '\r');
}

struct Header {
    bool plain = false;  // samples are written as text
    bool bits = false;   // samples are one bit, and 1 is black
    bool coloured = false;
    std::uint32_t width = 0, height = 0, top = 1;
    std::string_view samples;
};

// Skips white space and comments.
void skip_gap(std::string_view& text) {
    while (!text.empty() && (is_space(text.front()) || text.front() == '#')) {
        const std::size_t end = text.front() == '#' ? text.find_first_of("\r\n") : 0;
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
    }
}

// A number of up to ten digits; empty if there is none.
std::optional<std::uint32_t> take_number(std::string_view& text) {
    skip_gap(text);
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
        if (digits == 10) return std::nullopt;
        value = value * 10 + std::uint64_t(text[digits] - '0');
    }
    text.remove_prefix(digits);
    if (digits == 0 || value > 0xFFFFFFFF) return std::nullopt;
    return static_cast<std::uint32_t>(value);
}

std::optional<Header> read_header(std::string_view content) {
    Header header;
    const char kind = content[1];
    header.plain = kind <= '3';
    header.bits = kind == '1' || kind == '4';
    header.coloured = kind == '3' || kind == '6';
    content.remove_prefix(2);
    const auto width = take_number(content), height = take_number(content);
    const auto top = header.bits ? std::optional<std::uint32_t>(1) : take_number(content);
    if (!width || !height || !top || *width == 0 || *height == 0 || *top == 0 || *top > 65535) return std::nullopt;
    if (!header.plain && (content.empty() || !is_space(content.front()))) return std::nullopt;
    header.width = *width;
    header.height = *height;
    header.top = *top;
    header.samples = header.plain ? content : content.substr(1);
    return header;
}

// Reads one sample after another.
class Samples {
  public:
    explicit Samples(const Header& header) : header_(header), rest_(header.samples) {}

    std::optional<std::uint32_t> next() {
        if (header_.plain && header_.bits) {
            skip_gap(rest_);
            if (rest_.empty() || (rest_.front() != '0' && rest_.front() != '1')) return std::nullopt;
            const std::uint32_t value = rest_.front() == '1';
            rest_.remove_prefix(1);
            return value;
        }
        if (header_.plain) return take_number(rest_);
        if (header_.bits) {
            const auto byte = big(rest_, bit_ / 8, 1);
            if (!byte) return std::nullopt;
            return *byte >> (7 - bit_++ % 8) & 1;
        }
        const std::size_t size = header_.top > 255 ? 2 : 1;
        const auto value = big(rest_, 0, size);
        if (value) rest_.remove_prefix(size);
        return value;
    }

    // Each row of bits starts at a new byte.
    void end_row() { bit_ = (bit_ + 7) / 8 * 8; }

  private:
    const Header& header_;
    std::string_view rest_;
    std::size_t bit_ = 0;
};

std::optional<Pixels> decode(const Header& header) {
    Samples samples(header);
    Pixels pixels(int(header.width), int(header.height), 3);
    for (int y = 0; y < pixels.height; ++y) {
        for (int x = 0; x < pixels.width; ++x) {
            std::uint8_t* to = pixels.at(x, y);
            for (int channel = 0; channel < 3; ++channel) {
                if (channel > 0 && !header.coloured) {
                    to[channel] = to[0];
                    continue;
                }
                const auto value = samples.next();
                if (!value || (header.plain && *value > header.top)) return std::nullopt;
                const std::uint64_t sample = std::min(*value, header.top);
                // Grey with more than 8 bits is scaled to 16 bits; the upper 8 count, as in other formats.
                if (header.bits) {
                    to[channel] = sample != 0 ? 0 : 255;
                } else if (header.top > 255 && !header.coloured) {
                    to[channel] = static_cast<std::uint8_t>((sample * 65535 + header.top / 2) / header.top >> 8);
                } else {
                    to[channel] = static_cast<std::uint8_t>((sample * 255 + header.top / 2) / header.top);
                }
            }
        }
        samples.end_row();
    }
    return pixels;
}

}  // namespace

bool is_pnm(std::string_view content) {
    return content.size() > 2 && content[0] == 'P' && content[1] >= '1' && content[1] <= '6' && is_space(content[2]);
}

MaybeOpened open_pnm(std::string_view content) {
    const auto header = read_header(content);
    if (!header) return std::nullopt;
    Opened opened;
    opened.width = header->width;
    opened.height = header->height;
    opened.read = [header = *header](std::size_t) { return decode(header); };
    return opened;
}

}  // namespace mghft
