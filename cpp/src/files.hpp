// Whole files, read with care.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace mghft {

// The content of a regular file. Opening a pipe would wait for ever, so others are refused.
// Throws std::system_error.
std::string read_file(const std::filesystem::path& path);

// What tells one state of a file from another. Times are nanoseconds since 1970.
struct FileState {
    std::uint64_t device = 0, inode = 0, size = 0;
    std::int64_t modified = 0;  // the content
    std::int64_t changed = 0;   // the content, the name, the owner or the permissions; nobody can set it back

    bool operator==(const FileState& other) const {
        return device == other.device && inode == other.inode && size == other.size && modified == other.modified &&
               changed == other.changed;
    }
    bool operator!=(const FileState& other) const { return !(*this == other); }
};

// Of a regular file; empty where there is none that can be read.
std::optional<FileState> state_of(const std::filesystem::path& path);

// A regular file in memory for as long as this lives: the kernel reads what is looked at, once for all processes.
// Whoever replaces the file must write the new one beside it and rename it, as mghft-export does.
class MappedFile {
  public:
    MappedFile() = default;
    // Throws std::system_error.
    explicit MappedFile(const std::filesystem::path& path);
    ~MappedFile();
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;

    std::string_view content() const { return {static_cast<const char*>(memory_), size_}; }
    // When it was mapped.
    const FileState& state() const { return state_; }

  private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
    FileState state_;
};

// Whether a path in a manifest stays inside its folder, links followed.
bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& path);

}  // namespace mghft
