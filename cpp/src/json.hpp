// Reads JSON that anybody may have written: the caller asks for values by type, and errors name the wrong value.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mghft {

// A value is missing or of another kind. The message has its path and what is wrong: "image.height: ...".
class JsonError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// A value and the path that leads to it.
class JsonValue {
  public:
    JsonValue(const nlohmann::json& value, std::string path) : value_(&value), path_(std::move(path)) {}

    JsonValue operator[](const char* key) const;  // the key must exist
    bool has(const char* key) const;              // whether the key exists and is not null
    JsonValue item(std::size_t index) const;
    std::size_t size() const;  // of an array

    std::string string() const;
    std::string string_or(const char* key, const std::string& otherwise) const;
    bool boolean() const;
    bool boolean_or(const char* key, bool otherwise) const;
    double number() const;
    std::int64_t integer(std::int64_t least = std::numeric_limits<std::int64_t>::min(),
                         std::int64_t most = std::numeric_limits<std::int64_t>::max()) const;

    // The members of an object, in the order of their keys.
    std::vector<std::pair<std::string, JsonValue>> members() const;
    bool is_string() const;
    [[noreturn]] void fail(const std::string& what) const;

  private:
    const nlohmann::json* value_;
    std::string path_;
};

// A parsed text; its values live as long as the document.
class JsonDocument {
  public:
    // Throws JsonError if the text is not JSON.
    explicit JsonDocument(const std::string& text);
    // The same for a text with an object of many whole numbers at the path `table`. Its numbers from 0 up go into a
    // separate table, in the text's order. To put them into the document would take four times as long.
    JsonDocument(const std::string& text, const std::vector<std::string>& table);
    ~JsonDocument();
    JsonDocument(const JsonDocument&) = delete;
    JsonDocument& operator=(const JsonDocument&) = delete;

    JsonValue root() const { return {*value_, ""}; }
    const std::vector<std::pair<std::string, std::uint64_t>>& table() const { return table_; }

  private:
    std::unique_ptr<const nlohmann::json> value_;
    std::vector<std::pair<std::string, std::uint64_t>> table_;
};

}  // namespace mghft
