// Whole files, read with care.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

namespace mghft {

// The content of a regular file. Opening a pipe would wait for ever, so others are refused.
// Throws std::system_error.
std::string read_file(const std::filesystem::path& path);

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

  private:
    void* memory_ = nullptr;
    std::size_t size_ = 0;
};

// Whether a path in a manifest stays inside its folder, links followed.
bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& path);

}  // namespace mghft
