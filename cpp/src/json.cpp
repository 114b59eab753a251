#include "json.hpp"

#include <nlohmann/json.hpp>

namespace mghft {

JsonValue JsonValue::operator[](const char* key) const {
    if (!value_->is_object()) fail("is no object");
    const auto found = value_->find(key);
    const std::string path = path_.empty() ? key : path_ + "." + key;
    if (found == value_->end()) throw JsonError(path + ": is missing");
    return {*found, path};
}

bool JsonValue::has(const char* key) const {
    if (!value_->is_object()) fail("is no object");
    const auto found = value_->find(key);
    return found != value_->end() && !found->is_null();
}

JsonValue JsonValue::item(std::size_t index) const {
    if (index >= size()) fail("is too short");
    return {(*value_)[index], path_ + "." + std::to_string(index)};
}

std::size_t JsonValue::size() const {
    if (!value_->is_array()) fail("is no list");
    return value_->size();
}

std::string JsonValue::string() const {
    if (!value_->is_string()) fail("is no text");
    return value_->get<std::string>();
}

std::string JsonValue::string_or(const char* key, const std::string& otherwise) const {
    return has(key) ? (*this)[key].string() : otherwise;
}

bool JsonValue::boolean() const {
    if (!value_->is_boolean()) fail("is neither true nor false");
    return value_->get<bool>();
}

bool JsonValue::boolean_or(const char* key, bool otherwise) const {
    return has(key) ? (*this)[key].boolean() : otherwise;
}

double JsonValue::number() const {
    if (!value_->is_number()) fail("is no number");
    return value_->get<double>();
}

std::int64_t JsonValue::integer(std::int64_t least, std::int64_t most) const {
    if (!value_->is_number_integer()) fail("is no whole number");
    const bool huge = value_->is_number_unsigned() &&
                      value_->get<std::uint64_t>() > std::uint64_t(std::numeric_limits<std::int64_t>::max());
    if (huge) fail("is too large");
    const auto found = value_->get<std::int64_t>();
    if (found < least || found > most) {
        fail("is " + std::to_string(found) + ", not from " + std::to_string(least) + " to " + std::to_string(most));
    }
    return found;
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const {
    if (!value_->is_object()) fail("is no object");
    std::vector<std::pair<std::string, JsonValue>> found;
    for (auto member = value_->begin(); member != value_->end(); ++member) {
        found.emplace_back(member.key(), JsonValue(member.value(), path_ + "." + member.key()));
    }
    return found;
}

void JsonValue::each_number(const std::function<void(const std::string&, std::uint64_t)>& take) const {
    if (!value_->is_object()) fail("is no object");
    for (auto member = value_->begin(); member != value_->end(); ++member) {
        if (!member->is_number_unsigned()) fail("has a value that is no number");
        take(member.key(), member->get<std::uint64_t>());
    }
}

bool JsonValue::is_string() const {
    return value_->is_string();
}

void JsonValue::fail(const std::string& what) const {
    throw JsonError(path_ + ": " + what);
}

JsonDocument::JsonDocument(const std::string& text)
    : value_(std::make_unique<const nlohmann::json>(nlohmann::json::parse(text, nullptr, false))) {
    if (value_->is_discarded()) throw JsonError("is not JSON");
}

JsonDocument::~JsonDocument() = default;

}  // namespace mghft
