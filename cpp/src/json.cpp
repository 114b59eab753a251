#include "json.hpp"

#include <nlohmann/json.hpp>

namespace mghft {

namespace {

using nlohmann::json;

// Builds a document from the parser's events, and puts the numbers of one object into a table.
class Builder {
  public:
    explicit Builder(const std::vector<std::string>& table_path) : table_path_(table_path) {}

    bool null() { return put(nullptr); }
    bool boolean(bool value) { return put(value); }
    bool number_integer(json::number_integer_t value) { return put(value); }
    bool number_unsigned(json::number_unsigned_t value) {
        if (table_depth_ == 0 || open_.size() != table_depth_) return put(value);
        table.emplace_back(std::move(key_), value);
        return true;
    }
    bool number_float(json::number_float_t value, const std::string&) { return put(value); }
    bool string(std::string& value) { return put(std::move(value)); }
    bool binary(json::binary_t&) { return false; }  // JSON has no binary values
    bool start_object(std::size_t) { return open(json::object()); }
    bool start_array(std::size_t) { return open(json::array()); }
    bool key(std::string& value) {
        key_ = std::move(value);
        return true;
    }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool parse_error(std::size_t, const std::string&, const json::exception&) { return false; }

    json root;
    std::vector<std::pair<std::string, std::uint64_t>> table;

  private:
    json* add(json value) {
        if (open_.empty()) return &(root = std::move(value));
        json& parent = *open_.back();
        if (parent.is_object()) return &(parent[std::move(key_)] = std::move(value));
        parent.push_back(std::move(value));
        return &parent.back();
    }
    bool put(json value) {
        add(std::move(value));
        return true;
    }
    bool open(json value) {
        if (!open_.empty()) path_.push_back(open_.back()->is_object() ? key_ : std::string());
        open_.push_back(add(std::move(value)));
        if (path_ == table_path_ && open_.back()->is_object()) {
            table.clear();
            table_depth_ = open_.size();
        }
        return true;
    }
    bool close() {
        if (open_.size() == table_depth_) table_depth_ = 0;
        open_.pop_back();
        if (!open_.empty()) path_.pop_back();
        return true;
    }

    const std::vector<std::string>& table_path_;
    std::vector<json*> open_;        // open objects and arrays, the outermost first
    std::vector<std::string> path_;  // the keys that lead to the innermost of them
    std::size_t table_depth_ = 0;
    std::string key_;
};

}  // namespace

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

bool JsonValue::is_string() const {
    return value_->is_string();
}

void JsonValue::fail(const std::string& what) const {
    throw JsonError(path_ + ": " + what);
}

namespace {

constexpr int kDeepest = 100;  // most nested brackets

bool require_shallow(int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    if (depth > kDeepest) throw JsonError("is nested too deeply");
    return true;
}

}  // namespace

JsonDocument::JsonDocument(const std::string& text)
    : value_(std::make_unique<const nlohmann::json>(nlohmann::json::parse(text, require_shallow, false))) {
    if (value_->is_discarded()) throw JsonError("is not JSON");
}

JsonDocument::JsonDocument(const std::string& text, const std::vector<std::string>& table) {
    Builder builder(table);
    if (!json::sax_parse(text, &builder)) throw JsonError("is not JSON");
    value_ = std::make_unique<const json>(std::move(builder.root));
    table_ = std::move(builder.table);
}

JsonDocument::~JsonDocument() = default;

}  // namespace mghft
