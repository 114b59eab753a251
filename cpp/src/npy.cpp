#include "npy.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "byte_reader.hpp"
#include "half.hpp"
#include "utf8.hpp"

namespace mghft {

namespace {

constexpr std::size_t kMostValues = std::size_t{1} << 32;

[[noreturn]] void damaged() {
    throw std::runtime_error("damaged array");
}

// The value of a key in the header: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
std::string_view value_of(std::string_view header, std::string_view key) {
    const std::size_t place = header.find(key);
    if (place == header.npos) damaged();
    header.remove_prefix(place + key.size());
    const std::size_t start = header.find_first_not_of(" :'");
    if (start == header.npos) damaged();
    return header.substr(start);
}

std::vector<std::size_t> parse_shape(std::string_view text) {
    if (text.empty() || text[0] != '(') damaged();
    std::vector<std::size_t> shape;
    std::optional<std::size_t> number;
    for (const char letter : text.substr(1)) {
        if (std::isdigit(static_cast<unsigned char>(letter))) {
            number = number.value_or(0) * 10 + std::size_t(letter - '0');
            if (*number > kMostValues) damaged();
            continue;
        }
        if (number) shape.push_back(*number);
        number.reset();
        if (letter == ')') return shape;
        if (letter != ',' && letter != ' ' && letter != 'L') damaged();
    }
    damaged();
}

// The bytes of one value of a type, for example "<f4" or "<U12".
std::size_t item_size(const std::string& type) {
    if (type.size() < 3 || type.size() > 9 || type[0] != '<') damaged();
    std::size_t number = 0;
    for (const char letter : type.substr(2)) {
        if (!std::isdigit(static_cast<unsigned char>(letter))) damaged();
        number = number * 10 + std::size_t(letter - '0');
    }
    return type[1] == 'U' ? number * 4 : number;
}

template <typename Value>
Value value_at(std::string_view data, std::size_t index) {
    Value value;
    std::memcpy(&value, data.data() + index * sizeof value, sizeof value);
    return value;
}

}  // namespace

NpyArray parse_npy(std::string_view content) {
    constexpr std::string_view kMagic("\x93NUMPY", 6);
    if (part(content, 0, kMagic.size()) != kMagic) damaged();
    const std::uint32_t major = big(content, 6, 1).value_or(0);
    const std::size_t width = major == 1 ? 2 : 4;
    const auto length = little(content, 8, width);
    if (!length) damaged();
    const std::string_view header = part(content, 8 + width, *length);
    if (header.size() != *length) damaged();
    NpyArray array;
    const std::string_view type = value_of(header, "'descr'");
    array.type = std::string(type.substr(0, type.find('\'')));
    if (value_of(header, "'fortran_order'").substr(0, 5) != "False") damaged();
    array.shape = parse_shape(value_of(header, "'shape'"));
    array.data = part(content, 8 + width + *length, content.size());
    const std::size_t item = item_size(array.type);
    if (item > kMostValues || array.data.size() < array.count() * item) damaged();
    array.data = array.data.substr(0, array.count() * item);
    return array;
}

std::size_t NpyArray::count() const {
    std::size_t product = 1;
    for (const std::size_t size : shape) {
        product *= size;
        if (product > kMostValues) damaged();
    }
    return product;
}

std::vector<std::string> NpyArray::strings() const {
    if (type.substr(0, 2) != "<U") damaged();
    const std::size_t letters = item_size(type) / 4;
    // Values without letters take no bytes, so the header could claim any number of them.
    if (letters == 0 && count() > 1) damaged();
    std::vector<std::string> found(count());
    for (std::size_t index = 0; index < found.size(); ++index) {
        for (std::size_t letter = 0; letter < letters; ++letter) {
            const auto code = value_at<std::uint32_t>(data, index * letters + letter);
            if (code == 0) break;
            if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) damaged();
            append_utf8(code, found[index]);
        }
    }
    return found;
}

std::vector<float> NpyArray::floats() const {
    if (type != "<f2" && type != "<f4" && type != "<f8") damaged();
    std::vector<float> found(count());
    for (std::size_t index = 0; index < found.size(); ++index) {
        if (type == "<f4") {
            found[index] = value_at<float>(data, index);
        } else if (type == "<f8") {
            found[index] = static_cast<float>(value_at<double>(data, index));
        } else {
            found[index] = from_half(value_at<std::uint16_t>(data, index));
        }
    }
    return found;
}

}  // namespace mghft
