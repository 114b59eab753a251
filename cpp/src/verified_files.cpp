#include "verified_files.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string_view>
#include <system_error>

#include "environment.hpp"
#include "own_lines.hpp"
#include "sha256.hpp"
#include "text.hpp"

namespace mghft {

namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "files.txt";
constexpr std::string_view kFirstLine = "mghft-export verified files 1";
constexpr std::size_t kMostLines = 256;
constexpr std::size_t kHashLength = 64;
constexpr std::int64_t kSettled = 2'000'000'000;  // nanoseconds

// The key of a file; a line of files.txt is a key and a hash. Empty if the file does not exist any more.
std::optional<std::string> key_of(const fs::path& path, const std::optional<FileState>& found) {
    std::error_code error;
    const fs::path whole = fs::canonical(path, error);
    if (error || !found) return std::nullopt;
    const FileState& state = *found;
    return text(hexadecimal(sha256(whole.native())), ' ', state.device, ' ', state.inode, ' ', state.size, ' ',
                state.modified, ' ', state.changed, ' ');
}

std::optional<std::string> recall(const std::string& key) {
    for (const std::string& line : read_own_lines(kName, kFirstLine)) {
        if (line.size() == key.size() + kHashLength && line.compare(0, key.size(), key) == 0) {
            return line.substr(key.size());
        }
    }
    return std::nullopt;
}

// A failure here is no error: the file is then hashed again at the next start.
void remember(const std::string& key, const std::string& hash) {
    change_own_lines(kName, kFirstLine, [&](Lines& lines) {
        const std::string path = key.substr(0, kHashLength);
        const auto same = [&](const std::string& line) { return line.compare(0, kHashLength, path) == 0; };
        lines.erase(std::remove_if(lines.begin(), lines.end(), same), lines.end());
        lines.push_back(key + hash);
        if (lines.size() > kMostLines) lines.erase(lines.begin(), lines.end() - std::ptrdiff_t(kMostLines));
    });
}

}  // namespace

std::int64_t current_time() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::string verified_sha256(const fs::path& path, const MappedFile& file, std::int64_t now) {
    const auto key = is_on("MGHFT_ALWAYS_HASH") ? std::nullopt : key_of(path, file.state());
    if (key) {
        if (auto known = recall(*key)) return *known;
    }
    std::string hash = hexadecimal(sha256(file.content()));
    const bool settled = now - std::max(file.state().modified, file.state().changed) >= kSettled;
    // The hash counts only if nobody wrote to the file while it was hashed.
    if (key && settled && key_of(path, state_of(path)) == key) remember(*key, hash);
    return hash;
}

}  // namespace mghft
