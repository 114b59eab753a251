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
    constexpr zip_uint64_t kNeeded = ZIP_STAT_SIZE | ZIP_STAT_COMP_METHOD;
    if (!file || zip_stat(archive, name, 0, &state) != 0 || (state.valid & kNeeded) != kNeeded) {
        throw std::runtime_error("no such array");
    }
    // numpy.savez does not compress, and compressed files are refused, so a small file cannot fill the memory.
    if (state.comp_method != ZIP_CM_STORE) throw std::runtime_error("compressed");
    // The content grows as bytes arrive, because the size is only the file's claim.
    std::string content;
    char block[1 << 16];
    while (content.size() < state.size) {
        const zip_int64_t count = zip_fread(file.get(), block, sizeof block);
        if (count <= 0) throw std::runtime_error("cut short");
        content.append(block, static_cast<std::size_t>(count));
    }
    return content;
}

// The ID of the text branch that made the features, according to the file.
std::string made_with(zip_t* archive) {
    const std::string content = member(archive, "text_branch.npy");
    const NpyArray array = parse_npy(content);
    if (!array.shape.empty()) throw std::runtime_error("no text branch");
    return array.strings()[0];
}

}  // namespace

TextFeatures parse_text_features(std::string_view content, const std::string& name, const std::string& text_branch,
                                 std::size_t width) {
    const std::string damaged = text(name, " is damaged; make it again with `mghft-export encode-text`");
    try {
        const Archive archive = open_archive(content);
        // This is checked before anything else is read.
        if (made_with(archive.get()) != text_branch) {
            throw Error(text(name, " was made with another bundle's text branch; run `mghft-export encode-text` again"));
        }
        const std::string name_bytes = member(archive.get(), "names.npy");
        const std::string value_bytes = member(archive.get(), "features.npy");
        const NpyArray names = parse_npy(name_bytes), values = parse_npy(value_bytes);
        const std::vector<std::size_t>& shape = values.shape;
        if (names.shape.size() != 1 || shape.size() != 3 || shape[0] != names.shape[0] || shape[0] == 0 ||
            shape[1] != 4 || shape[2] != width) {
            throw Error(damaged);
        }
        return {names.strings(), values.floats(), 4 * width};
    } catch (const Error&) {
        throw;
    } catch (const std::runtime_error&) {
        throw Error(text(name, " holds no text features; make them with `mghft-export encode-text`"));
    }
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
