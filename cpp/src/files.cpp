#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace mghft {

namespace {

[[noreturn]] void fail(int code) {
    throw std::system_error(code, std::generic_category());
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() { ::close(number_); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

  private:
    int number_;
};

}  // namespace

std::string read_file(const std::filesystem::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) fail(errno);
    const Descriptor closer(file);
    struct stat state {};
    if (::fstat(file, &state) != 0) fail(errno);
    if (S_ISDIR(state.st_mode)) fail(EISDIR);
    if (!S_ISREG(state.st_mode)) fail(EINVAL);
    std::string content(static_cast<std::size_t>(state.st_size), '\0');
    std::size_t done = 0;
    while (done < content.size()) {
        const ssize_t count = ::read(file, content.data() + done, content.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) fail(errno);
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    content.resize(done);
    return content;
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
