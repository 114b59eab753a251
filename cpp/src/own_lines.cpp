#include "own_lines.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "cache_folder.hpp"
#include "text.hpp"

namespace mghft {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostBytes = 1 << 20;  // of a file; our files are never larger

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const { return number_; }
    // Whether only the user can have written it.
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

// The lines of a file; none if it cannot be trusted.
std::vector<std::string> read_lines(const Descriptor& folder, const std::string& name, std::string_view first_line) {
    if (!folder.is_ours(S_IFDIR)) return {};
    const Descriptor file(::openat(folder.number(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
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
    if (size == content.size() || lines.empty() || lines[0] != first_line) return {};
    lines.erase(lines.begin());
    return lines;
}

bool write_all(int file, std::string_view content) {
    while (!content.empty()) {
        const ssize_t count = ::write(file, content.data(), content.size());
        if (count < 0) return false;
        content.remove_prefix(std::size_t(count));
    }
    return true;
}

}  // namespace

Lines read_own_lines(const std::string& name, std::string_view first_line) {
    return read_lines(Descriptor(open_folder(false)), name, first_line);
}

void change_own_lines(const std::string& name, std::string_view first_line, const std::function<void(Lines&)>& change) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    const Descriptor folder(open_folder(true));
    if (!folder.is_ours(S_IFDIR)) return;
    Lines lines = read_lines(folder, name, first_line);
    change(lines);
    std::string content(first_line);
    content += '\n';
    for (const std::string& line : lines) content += line + '\n';

    const std::string partial = text('.', name, '.', ::getpid());
    ::unlinkat(folder.number(), partial.c_str(), 0);  // left by a killed process that had the same number
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int number = ::openat(folder.number(), partial.c_str(), flags, S_IRUSR | S_IWUSR);
    if (number < 0) return;
    const Descriptor file(number);
    if (!write_all(number, content) || ::renameat(folder.number(), partial.c_str(), folder.number(), name.c_str()) != 0) {
        ::unlinkat(folder.number(), partial.c_str(), 0);
    }
}

}  // namespace mghft
