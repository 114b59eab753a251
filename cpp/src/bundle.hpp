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

    // The entry of a branch's graph. Throws Error if the bundle does not have this precision or branch.
    const GraphEntry& graph(const std::string& branch, const std::string& precision) const;

    // Maps a file and checks it against its hash (verified_files.hpp). Throws Error.
    MappedFile mapped(const FileEntry& entry) const;
    std::string content(const FileEntry& entry) const { return std::string(mapped(entry).content()); }

    // Throws Error.
    Tokenizer tokenizer() const { return {content(manifest.tokenizer), manifest.tokenizer.path}; }

    // Features [4, width] of a sticker without text; empty if the model has not learned them. Throws Error.
    std::vector<float> no_text(std::size_t width) const;

    // Identifies what text features depend on: the text branch's weights, the tokenizer and how texts are read.
    std::string text_branch_id() const;

    BundleInfo info() const;
};

// Opens a bundle: validates the manifest and checks that every file exists and has its size.
// Throws Error, which says what to do.
Bundle load_bundle(const std::filesystem::path& root);

}  // namespace mghft
