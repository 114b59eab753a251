#include "verified_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <vector>

#include "cache_folder.hpp"
#include "environment.hpp"
#include "sha256.hpp"
#include "text.hpp"

namespace mghft {

namespace {

namespace fs = std::filesystem;

constexpr const char* kName = "files.txt";
constexpr std::string_view kFirstLine = "mghft-export verified files 1";
constexpr std::size_t kMostLines = 256;
constexpr std::size_t kMostBytes = 1 << 20;  // of the file; more cannot be ours
constexpr std::size_t kHashLength = 64;
constexpr std::int64_t kSettled = 2'000'000'000;  // nanoseconds

// A line of the file is this and the file's hash. Empty where there is no such file any more.
std::optional<std::string> key_of(const fs::path& path, const std::optional<FileState>& found) {
    std::error_code error;
    const fs::path whole = fs::canonical(path, error);
    if (error || !found) return std::nullopt;
    const FileState& state = *found;
    return text(hexadecimal(sha256(whole.native())), ' ', state.device, ' ', state.inode, ' ', state.size, ' ',
                state.modified, ' ', state.changed, ' ');
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const { return number_; }
    // Nobody but the user can have written it.
    bool is_ours(mode_t kind) const {
        struct stat state{};
        return number_ >= 0 && ::fstat(number_, &state) == 0 && (state.st_mode & S_IFMT) == kind &&
               state.st_uid == ::geteuid() && (state.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    }

  private:
    int number_;
};

int open_folder(bool make) {
    const auto base = cache_folder();
    if (!base) return -1;
    const fs::path folder = *base / "verified";
    if (make) {
        std::error_code error;
        fs::create_directories(*base, error);
        ::mkdir(folder.c_str(), S_IRWXU);
    }
    return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// What was remembered; nothing where it cannot be trusted.
std::vector<std::string> read_lines(const Descriptor& folder) {
    if (!folder.is_ours(S_IFDIR)) return {};
    const Descriptor file(::openat(folder.number(), kName, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file.is_ours(S_IFREG)) return {};
    std::string content(kMostBytes, '\0');
    std::size_t size = 0;
    for (ssize_t count = 1; count > 0 && size < content.size(); size += std::size_t(std::max<ssize_t>(count, 0))) {
        count = ::read(file.number(), content.data() + size, content.size() - size);
    }
    std::vector<std::string> lines;
    std::string_view rest = std::string_view(content).substr(0, size);
    for (std::size_t end = rest.find('\n'); end != rest.npos; end = rest.find('\n')) {
        lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(end + 1);
    }
    if (size == content.size() || lines.empty() || lines[0] != kFirstLine) return {};
    lines.erase(lines.begin());
    return lines;
}

std::optional<std::string> recall(const std::string& key) {
    for (const std::string& line : read_lines(Descriptor(open_folder(false)))) {
        if (line.size() == key.size() + kHashLength && line.compare(0, key.size(), key) == 0) {
            return line.substr(key.size());
        }
    }
    return std::nullopt;
}

bool write_all(int file, std::string_view content) {
    while (!content.empty()) {
        const ssize_t count = ::write(file, content.data(), content.size());
        if (count < 0) return false;
        content.remove_prefix(std::size_t(count));
    }
    return true;
}

// Nothing that fails here is an error: the file is then hashed at the next start, too.
void remember(const std::string& key, const std::string& hash) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    const Descriptor folder(open_folder(true));
    if (!folder.is_ours(S_IFDIR)) return;
    std::vector<std::string> lines = read_lines(folder);
    const std::string path = key.substr(0, kHashLength);
    const auto same = [&](const std::string& line) { return line.compare(0, kHashLength, path) == 0; };
    lines.erase(std::remove_if(lines.begin(), lines.end(), same), lines.end());
    lines.push_back(key + hash);
    const std::size_t dropped = lines.size() > kMostLines ? lines.size() - kMostLines : 0;
    std::string content(kFirstLine);
    content += '\n';
    for (std::size_t index = dropped; index < lines.size(); ++index) content += lines[index] + '\n';

    const std::string partial = text('.', kName, '.', ::getpid());
    ::unlinkat(folder.number(), partial.c_str(), 0);  // of a process that was ended, whose number is taken again
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int number = ::openat(folder.number(), partial.c_str(), flags, S_IRUSR | S_IWUSR);
    if (number < 0) return;
    const Descriptor file(number);
    if (!write_all(number, content) || ::renameat(folder.number(), partial.c_str(), folder.number(), kName) != 0) {
        ::unlinkat(folder.number(), partial.c_str(), 0);
    }
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
    // Nobody may have written to the file while it was hashed.
    if (key && settled && key_of(path, state_of(path)) == key) remember(*key, hash);
    return hash;
}

}  // namespace mghft
