#include "files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace mghft {

namespace {

[[noreturn]] void fail(int code) {
    throw std::system_error(code, std::generic_category());
}

std::int64_t nanoseconds(const timespec& time) {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

class Descriptor {
  public:
    explicit Descriptor(const std::filesystem::path& path)
        : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (number_ < 0) fail(errno);
    }
    ~Descriptor() { ::close(number_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int number() const { return number_; }

    // The state of a regular file; fails for anything else.
    FileState state() const {
        struct stat found{};
        if (::fstat(number_, &found) != 0) fail(errno);
        if (S_ISDIR(found.st_mode)) fail(EISDIR);
        if (!S_ISREG(found.st_mode)) fail(EINVAL);
        return {found.st_dev, found.st_ino, static_cast<std::uint64_t>(found.st_size), nanoseconds(found.st_mtim),
                nanoseconds(found.st_ctim)};
    }

  private:
    int number_;
};

}  // namespace

std::string read_file(const std::filesystem::path& path) {
    const Descriptor file(path);
    std::string content(file.state().size, '\0');
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t count = ::read(file.number(), content.data() + done, content.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(errno);
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    content.resize(done);
    return content;
}

std::optional<FileState> state_of(const std::filesystem::path& path) {
    try {
        return Descriptor(path).state();
    } catch (const std::system_error&) {
        return std::nullopt;
    }
}

MappedFile::MappedFile(const std::filesystem::path& path) {
    const Descriptor file(path);
    state_ = file.state();
    size_ = state_.size;
    if (size_ == 0) return;  // an empty file cannot be mapped
    memory_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.number(), 0);
    if (memory_ == MAP_FAILED) fail(errno);
}

MappedFile::~MappedFile() {
    if (memory_ != nullptr) ::munmap(memory_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)), state_(other.state_) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    std::swap(state_, other.state_);
    return *this;
}

bool is_inside(const std::filesystem::path& folder, const std::filesystem::path& path) {
    std::error_code error;
    const auto root = std::filesystem::weakly_canonical(folder, error);
    if (error) return false;
    const auto target = std::filesystem::weakly_canonical(path, error);
    if (error) return false;
    const auto [end, unused] = std::mismatch(root.begin(), root.end(), target.begin(), target.end());
    return end == root.end();
}

}  // namespace mghft
