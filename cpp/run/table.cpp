#include "table.hpp"

#include <algorithm>
#include <cstdio>

#include "visible.hpp"

namespace mghft::run {

namespace {

// The columns that a text takes, counted in code points: right for file names and class names in most scripts.
std::size_t width(const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

std::string table(std::vector<std::vector<std::string>> rows, std::size_t left) {
    for (auto& row : rows) {
        for (std::string& cell : row) cell = visible(cell);
    }
    std::vector<std::size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t column = 0; column < row.size(); ++column) {
            widths[column] = std::max(widths[column], width(row[column]));
        }
    }
    std::string text;
    for (std::size_t number = 0; number < rows.size(); ++number) {
        for (std::size_t column = 0; column < rows[number].size(); ++column) {
            const std::string& cell = rows[number][column];
            const std::string gap(widths[column] - width(cell), ' ');
            text += (column == 0 ? " " : "  ") + (column < left ? cell + gap : gap + cell);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        text += '\n';
        if (number > 0) continue;
        std::size_t total = 0;
        for (const std::size_t column : widths) total += column + 2;
        for (std::size_t place = 0; place < total; ++place) text += "─";
        text += '\n';
    }
    return text;
}

std::string fixed(double value, int decimals) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, "%.*f", decimals, value);
    return buffer;
}

}  // namespace mghft::run
