#include "text_features.hpp"

#include <zip.h>

#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "files.hpp"
#include "npy.hpp"
#include "text.hpp"

namespace mghft {

namespace {

constexpr zip_uint64_t kMostBytes = zip_uint64_t{1} << 31;  // of one array, so that a small file cannot fill the memory

struct Discard {
    void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct Close {
    void operator()(zip_file_t* file) const { zip_fclose(file); }
};

using Archive = std::unique_ptr<zip_t, Discard>;

Archive open_archive(std::string_view content) {
    zip_source_t* source = zip_source_buffer_create(content.data(), content.size(), 0, nullptr);
    if (source == nullptr) throw std::runtime_error("no memory");
    Archive archive(zip_open_from_source(source, ZIP_RDONLY, nullptr));
    if (!archive) {
        zip_source_free(source);
        throw std::runtime_error("no zip archive");
    }
    return archive;
}

std::string member(zip_t* archive, const char* name) {
    zip_stat_t state;
    zip_stat_init(&state);
    const std::unique_ptr<zip_file_t, Close> file(zip_fopen(archive, name, 0));
    if (!file || zip_stat(archive, name, 0, &state) != 0 || (state.valid & ZIP_STAT_SIZE) == 0 ||
        state.size > kMostBytes) {
        throw std::runtime_error("no such array");
    }
    // Grown as bytes come, since the size is only what the file claims.
    std::string content;
    char block[1 << 16];
    while (content.size() < state.size) {
        const zip_int64_t count = zip_fread(file.get(), block, sizeof block);
        if (count <= 0) throw std::runtime_error("cut short");
        content.append(block, static_cast<std::size_t>(count));
    }
    return content;
}

struct Read {
    TextFeatures features;
    std::string text_branch;
    std::vector<std::size_t> shape;
};

Read read_arrays(std::string_view content) {
    const Archive archive = open_archive(content);
    const std::string names = member(archive.get(), "names.npy");
    const std::string values = member(archive.get(), "features.npy");
    const std::string made_with = member(archive.get(), "text_branch.npy");
    const auto branch = parse_npy(made_with).strings();
    if (branch.size() != 1) throw std::runtime_error("no text branch");
    const NpyArray features = parse_npy(values);
    return {{parse_npy(names).strings(), features.floats(), 0}, branch[0], features.shape};
}

}  // namespace

TextFeatures parse_text_features(std::string_view content, const std::string& name, const std::string& text_branch,
                                 std::size_t width) {
    Read read;
    try {
        read = read_arrays(content);
    } catch (const std::runtime_error&) {
        throw Error(text(name, " holds no text features; make them with `mghft-export encode-text`"));
    }
    if (read.text_branch != text_branch) {
        throw Error(text(name, " was made with another bundle's text branch; run `mghft-export encode-text` again"));
    }
    TextFeatures features = std::move(read.features);
    features.row = 4 * width;
    const bool fits = read.shape.size() == 3 && read.shape[0] == features.names.size() && read.shape[1] == 4 &&
                      read.shape[2] == width && !features.names.empty();
    if (!fits) throw Error(text(name, " is damaged; make it again with `mghft-export encode-text`"));
    return features;
}

TextFeatures load_text_features(const std::string& path, const std::string& text_branch, std::size_t width) {
    try {
        return parse_text_features(read_file(path), path, text_branch, width);
    } catch (const std::system_error& error) {
        if (error.code() == std::errc::no_such_file_or_directory) {
            throw Error(text("there are no text features at ", path, "; make them with `mghft-export encode-text`"));
        }
        throw Error(text(path, " cannot be read (", error.code().message(), "); check its permissions"));
    }
}

}  // namespace mghft
