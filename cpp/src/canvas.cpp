#include "canvas.hpp"

#include <algorithm>
#include <cstring>

namespace mghft {

namespace {

// The last frame up to `index` that hides all frames before it.
std::size_t start_of(const std::vector<Area>& areas, std::size_t index, std::uint32_t width, std::uint32_t height) {
    for (std::size_t number = index; number > 0; --number) {
        const Area& area = areas[number];
        const bool whole = area.x == 0 && area.y == 0 && area.width == width && area.height == height;
        if (whole && area.replaces && (number == index || area.dispose != Dispose::kRestore)) return number;
    }
    return 0;
}

// Lays a pixel over another by the integer formula of the PNG specification, rounded.
void lay_over(const std::uint8_t* above, std::uint8_t alpha, std::uint8_t* below) {
    if (alpha == 0) return;
    const std::uint32_t mine = alpha * 255U, theirs = (255U - alpha) * below[3], both = mine + theirs;
    for (int channel = 0; channel < 3; ++channel) {
        below[channel] = static_cast<std::uint8_t>((above[channel] * mine + below[channel] * theirs + both / 2) / both);
    }
    below[3] = static_cast<std::uint8_t>((both + 127) / 255);
}

// The part of an area that is on the canvas.
struct Place {
    Place(const Area& area, const Pixels& canvas)
        : x(int(std::min(area.x, std::uint32_t(canvas.width)))),
          y(int(std::min(area.y, std::uint32_t(canvas.height)))),
          width(int(std::min(area.width, std::uint32_t(canvas.width - x)))),
          height(int(std::min(area.height, std::uint32_t(canvas.height - y)))) {}

    int x, y, width, height;
};

Pixels copied(const Pixels& canvas, const Place& place) {
    Pixels part(place.width, place.height, 4);
    for (int y = 0; y < place.height && place.width > 0; ++y) {
        std::memcpy(part.at(0, y), canvas.at(place.x, place.y + y), std::size_t(place.width) * 4);
    }
    return part;
}

void draw(const Pixels& frame, bool replaces, const Place& place, Pixels& canvas) {
    for (int y = 0; y < place.height; ++y) {
        for (int x = 0; x < place.width; ++x) {
            const std::uint8_t* from = frame.at(x, y);
            std::uint8_t* to = canvas.at(place.x + x, place.y + y);
            const std::uint8_t alpha = frame.channels == 4 ? from[3] : 255;
            if (replaces || alpha == 255) {
                std::memcpy(to, from, 3);
                to[3] = alpha;
            } else {
                lay_over(from, alpha, to);
            }
        }
    }
}

void clear(const Place& place, Pixels& canvas) {
    for (int y = 0; y < place.height && place.width > 0; ++y) {
        std::memset(canvas.at(place.x, place.y + y), 0, std::size_t(place.width) * 4);
    }
}

}  // namespace

std::uint64_t pixels_to(const std::vector<Area>& areas, std::size_t index, std::uint32_t width, std::uint32_t height) {
    std::uint64_t count = 0;
    for (std::size_t number = start_of(areas, index, width, height); number <= index; ++number) {
        count += std::uint64_t{areas[number].width} * areas[number].height;
    }
    return count;
}

std::optional<Pixels> composed(const std::vector<Area>& areas, std::size_t index, std::uint32_t width,
                               std::uint32_t height, const std::function<std::optional<Pixels>(std::size_t)>& read) {
    Pixels canvas(int(width), int(height), 4);
    for (std::size_t number = start_of(areas, index, width, height); number <= index; ++number) {
        const Area& area = areas[number];
        const Place place(area, canvas);
        const auto frame = read(number);
        if (!frame) return std::nullopt;
        Pixels before;
        if (area.dispose == Dispose::kRestore && number < index) before = copied(canvas, place);
        draw(*frame, area.replaces, place, canvas);
        if (number == index) break;
        if (area.dispose == Dispose::kRestore) draw(before, true, place, canvas);
        if (area.dispose == Dispose::kClear) clear(place, canvas);
    }
    return canvas;
}

}  // namespace mghft
