#include "text_file.hpp"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <system_error>

#include "files.hpp"
#include "json.hpp"
#include "mghft/mghft.hpp"
#include "text.hpp"
#include "utf8.hpp"

namespace mghft::run {

namespace {

std::string read(const std::string& path) {
    try {
        return read_file(path);
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::no_such_file_or_directory) throw Error("there is no text file at " + path);
        throw Error(text(path, " cannot be read as UTF-8 text"));
    }
}

std::string stripped(const std::string& content) {
    constexpr const char* kSpaces = " \t\n\r\f\v";
    const std::size_t start = content.find_first_not_of(kSpaces);
    if (start == std::string::npos) return "";
    return content.substr(start, content.find_last_not_of(kSpaces) + 1 - start);
}

FileTexts parse(const std::string& content, const std::string& extension) {
    FileTexts found;
    if (extension == ".jsonl") {
        std::istringstream lines(content);
        for (std::string line; std::getline(lines, line);) {
            if (stripped(line).empty()) continue;
            const JsonDocument document(line);
            const JsonValue row = document.root();
            found.by_name[file_name(row["image"].string())] = row["text"].string();
        }
    } else if (extension == ".json") {
        const JsonDocument document(content);
        const JsonValue rows = document.root()["annotations"];
        for (std::size_t index = 0; index < rows.size(); ++index) {
            found.by_name[rows.item(index)["file_name"].string()] = rows.item(index)["text"].string();
        }
    } else {
        found.for_all = stripped(content);
    }
    return found;
}

}  // namespace

std::string file_name(const std::string& path) {
    return std::filesystem::path(path).filename().string();
}

FileTexts read_texts(const std::string& path) {
    const std::string content = read(path);
    std::u32string code_points;
    if (!decode_utf8(content, code_points)) throw Error(text(path, " cannot be read as UTF-8 text"));
    if (stripped(content).empty()) throw Error(path + " is empty; write the sticker's text into it");
    try {
        return parse(content, std::filesystem::path(path).extension().string());
    } catch (const JsonError&) {
        throw Error(path + " is malformed; expected an image and a text a line (.jsonl) or SER30K annotations (.json)");
    }
}

}  // namespace mghft::run
