// Texts of stickers from a file: plain text, JSON lines, or SER30K annotations.
#pragma once

#include <map>
#include <string>

namespace mghft::run {

struct FileTexts {
    std::string for_all;                         // the text of a plain text file, for all images
    std::map<std::string, std::string> by_name;  // by the image's file name
};

// Throws Error if the file cannot be read, or is empty or malformed.
FileTexts read_texts(const std::string& path);

// The last part of a path.
std::string file_name(const std::string& path);

}  // namespace mghft::run
