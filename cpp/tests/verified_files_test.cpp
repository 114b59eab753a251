// A file's hash is remembered for as long as nothing about the file changes, in a place that only its user can write.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "sha256.hpp"
#include "text.hpp"
#include "verified_files.hpp"

using namespace mghft;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
const std::string kPlanted(64, '0');  // what no file has, so it came out of the memory

// A cache and a file of its own.
class Place {
  public:
    Place() : root(fs::temp_directory_path() / text("mghft-verified-", ::getpid())), file(root / "model.onnx") {
        fs::create_directories(root);
        ::setenv("XDG_CACHE_HOME", (root / "cache").c_str(), 1);
        ::unsetenv("MGHFT_ALWAYS_HASH");
        write(file, "weights");
    }
    ~Place() {
        ::unsetenv("XDG_CACHE_HOME");
        fs::remove_all(root);
    }

    static void write(const fs::path& path, const std::string& content) { std::ofstream(path) << content; }

    // What is found `seconds` from now.
    std::string found(std::int64_t seconds = 10) const {
        return verified_sha256(file, MappedFile(file), current_time() + seconds * kSecond);
    }
    fs::path folder() const { return root / "cache" / "mghft-export" / "verified"; }
    fs::path memory() const { return folder() / "files.txt"; }

    // Remembers the file, and puts another hash into the memory.
    void plant() const {
        fs::remove_all(folder());
        REQUIRE(found() == hexadecimal(sha256("weights")));
        std::string content = read_file(memory());
        content.replace(content.size() - 65, 64, kPlanted);
        write(memory(), content);
        REQUIRE(found() == kPlanted);
    }

    fs::path root, file;
};

}  // namespace

TEST_CASE("a file that nobody changed is not hashed again") {
    const Place place;
    place.plant();
    CHECK(verified_sha256(place.root / "." / "model.onnx", MappedFile(place.file)) == kPlanted);
}

TEST_CASE("a file that was changed is hashed again, however little can be seen of it") {
    const Place place;
    place.plant();
    struct stat state{};
    REQUIRE(::stat(place.file.c_str(), &state) == 0);
    const timespec times[2] = {state.st_atim, state.st_mtim};
    Place::write(place.file, "Weights");
    CHECK(place.found() == hexadecimal(sha256("Weights")));

    place.write(place.file, "weights");
    place.plant();
    Place::write(place.file, "Weights");
    REQUIRE(::utimensat(AT_FDCWD, place.file.c_str(), times, 0) == 0);  // the old time of the content, not of the inode
    CHECK(place.found() == hexadecimal(sha256("Weights")));

    place.write(place.file, "weights");
    place.plant();
    Place::write(place.root / "other", "Weights");
    fs::rename(place.root / "other", place.file);
    CHECK(place.found() == hexadecimal(sha256("Weights")));

    place.write(place.file, "weights");
    place.plant();
    Place::write(place.file, "weigh");
    CHECK(place.found() == hexadecimal(sha256("weigh")));

    place.write(place.file, "weights");
    place.plant();
    REQUIRE(::utimensat(AT_FDCWD, place.file.c_str(), nullptr, 0) == 0);
    CHECK(place.found() == hexadecimal(sha256("weights")));
}

TEST_CASE("a file that was changed a moment ago is not remembered") {
    const Place place;
    CHECK(place.found(0) == hexadecimal(sha256("weights")));
    CHECK(place.found(-10) == hexadecimal(sha256("weights")));  // of a clock that was set back
    CHECK_FALSE(fs::exists(place.memory()));
    CHECK(place.found(2) == hexadecimal(sha256("weights")));
    CHECK(fs::exists(place.memory()));
}

TEST_CASE("MGHFT_ALWAYS_HASH hashes every file") {
    const Place place;
    place.plant();
    ::setenv("MGHFT_ALWAYS_HASH", "1", 1);
    CHECK(place.found() == hexadecimal(sha256("weights")));
    for (const char* off : {"", "0"}) {
        ::setenv("MGHFT_ALWAYS_HASH", off, 1);
        CHECK(place.found() == kPlanted);
    }
    ::unsetenv("MGHFT_ALWAYS_HASH");
}

TEST_CASE("what others can write is neither read nor written") {
    const Place place;
    const std::string own = hexadecimal(sha256("weights"));
    place.plant();
    struct stat state{};
    REQUIRE(::stat(place.folder().c_str(), &state) == 0);
    CHECK((state.st_mode & 0777) == 0700);
    REQUIRE(::stat(place.memory().c_str(), &state) == 0);
    CHECK((state.st_mode & 0777) == 0600);
    for (const mode_t open : {0720, 0702}) {
        ::chmod(place.folder().c_str(), open);
        CHECK(place.found() == own);
        ::chmod(place.folder().c_str(), 0700);
        CHECK(place.found() == kPlanted);  // nor was it replaced
    }
    for (const mode_t open : {0620, 0602}) {
        place.plant();
        ::chmod(place.memory().c_str(), open);
        CHECK(place.found() == own);
    }
    place.plant();
    fs::rename(place.memory(), place.root / "elsewhere");
    fs::create_symlink(place.root / "elsewhere", place.memory());
    CHECK(place.found() == own);
    place.plant();
    fs::rename(place.folder(), place.root / "elsewhere-2");
    fs::create_directory_symlink(place.root / "elsewhere-2", place.folder());
    CHECK(place.found() == own);
    fs::remove(place.folder());
    if (::geteuid() == 0) {  // nobody else can give a file away
        place.plant();
        REQUIRE(::chown(place.memory().c_str(), 65534, 65534) == 0);
        CHECK(place.found() == own);
        place.plant();
        REQUIRE(::chown(place.folder().c_str(), 65534, 65534) == 0);
        CHECK(place.found() == own);
    }
}

TEST_CASE("a memory that is damaged is begun anew") {
    const Place place;
    const std::string own = hexadecimal(sha256("weights"));
    place.plant();
    const std::string whole = read_file(place.memory());
    const std::string first = whole.substr(0, whole.find('\n') + 1);
    for (const std::string& damaged :
         {std::string(), std::string("\n"), whole.substr(first.size()), whole.substr(0, whole.size() - 2),
          whole.substr(0, whole.size() - 2) + "\n", first + std::string(1000, '\xFF') + "\n", "another " + whole}) {
        Place::write(place.memory(), damaged);
        CHECK(place.found() == own);
        CHECK(place.found() == own);
        CHECK(read_file(place.memory()).size() > first.size() + 100);
    }
    Place::write(place.memory(), whole + std::string(1 << 20, '\n'));
    CHECK(place.found() == own);
}

TEST_CASE("the files remembered last are kept") {
    const Place place;
    place.plant();
    for (int number = 0; number < 260; ++number) {
        const fs::path other = place.root / std::to_string(number);
        Place::write(other, "x");
        verified_sha256(other, MappedFile(other), current_time() + 10 * kSecond);
    }
    const std::string content = read_file(place.memory());
    CHECK(std::count(content.begin(), content.end(), '\n') == 257);
    CHECK(place.found() == hexadecimal(sha256("weights")));
}

TEST_CASE("without a place to remember files they are hashed") {
    const Place place;
    Place::write(place.root / "cache", "a file where the folder should be");
    CHECK(place.found() == hexadecimal(sha256("weights")));
    CHECK(place.found() == hexadecimal(sha256("weights")));
}
