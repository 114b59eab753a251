// A bundle on disk.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "files.hpp"
#include "manifest.hpp"
#include "mghft/mghft.hpp"
#include "tokenizer.hpp"

namespace mghft {

struct Bundle {
    std::filesystem::path root;
    Manifest manifest;

    // The entry of a branch's graph. Throws Error where the bundle has no such precision or branch.
    const GraphEntry& graph(const std::string& branch, const std::string& precision) const;

    // A file, checked against its hash (verified_files.hpp). Throws Error.
    MappedFile mapped(const FileEntry& entry) const;
    std::string content(const FileEntry& entry) const { return std::string(mapped(entry).content()); }

    // Throws Error.
    Tokenizer tokenizer() const { return {content(manifest.tokenizer), manifest.tokenizer.path}; }

    // Features [4, width] of a sticker without text, empty where the model has learned none. Throws Error.
    std::vector<float> no_text(std::size_t width) const;

    // What text features depend on: the text branch's weights, the tokenizer and how texts are read.
    std::string text_branch_id() const;

    BundleInfo info() const;
};

// Opens a bundle: the manifest is validated, and every file must be there with its size.
// Throws Error; says what to do.
Bundle load_bundle(const std::filesystem::path& root);

}  // namespace mghft
