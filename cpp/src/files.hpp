// Reads whole files safely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace mghft {

// The content of a regular file. Other files are refused, because opening a pipe would wait for ever.
// Throws std::system_error.
std::string read_file(const std::filesystem::path& path);

// Values that change when a file changes. Times are nanoseconds since 1970.
struct FileState {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified = 0;  // last change of the content
    std::int64_t changed = 0;   // last change of content, name, owner or permissions; nobody can set it back

    bool operator==(const FileState& other) const {
        return device == other.device && inode == other.inode && size == other.size && modified == other.modified &&
               changed == other.changed;
    }
    bool operator!=(const FileState& other) const { return !(*this == other); }
};

// The state of a regular file; empty if it does not exist or cannot be read.
std::optional<FileState> state_of(const std::filesystem::path& path);

// A regular file, mapped into memory while this object lives. The kernel reads only the pages that are used, once for
// all processes. A program that replaces the file must write the new one beside it and rename it, as mghft-export does.
class MappedFile {
  public:
    MappedFile() = default;
    // Throws std::system_error.
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    std::string_view content() const { return {static_cast<const char*>(memory_), size_}; }
    // The file's state when it was mapped.
    const FileState& state() const { return state_; }

  private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
    FileState state_;
};

// Whether a path in a manifest stays inside its folder, also after following links.
bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& path);

}  // namespace mghft
