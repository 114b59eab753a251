#include "engine_folder.hpp"

#include <algorithm>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "environment.hpp"
#include "files.hpp"
#include "json.hpp"
#include "own_lines.hpp"
#include "sha256.hpp"
#include "text.hpp"

namespace mghft {

namespace fs = std::filesystem;

namespace {

constexpr int kSchemaVersion = 1;
constexpr int kAmpere = 80;  // engines without their own targets run from this compute capability on
// Two GPUs with the same name are two models if the smaller memory is below this share of the larger. The driver and
// ECC take some memory.
constexpr double kSameMemory = 0.8;

std::string again(const EngineFolder& folder) {
    return "build it again with: " + folder.command;
}

bool is_plain(char letter) {
    constexpr std::string_view kPlain = "@%+=:,./-_";
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           kPlain.find(letter) != kPlain.npos;
}

// The words of a command with their quotes, if Python's shlex.join can have written it and a shell takes them
// literally; else none.
std::vector<std::string> words_of(std::string_view command) {
    std::vector<std::string> words(1);
    for (std::size_t at = 0; at < command.size(); ++at) {
        const std::size_t start = at;
        if (command[at] == ' ') {
            if (words.back().empty()) return {};
            words.emplace_back();
            continue;
        }
        if (command[at] == '\'') {
            at = command.find('\'', at + 1);
            if (at == command.npos) return {};
            for (const char quoted : command.substr(start, at - start)) {
                if (static_cast<unsigned char>(quoted) < 0x20 || quoted == 0x7F) return {};
            }
        } else if (command.substr(at, 3) == "\"'\"") {
            at += 2;
        } else if (!is_plain(command[at])) {
            return {};
        }
        words.back() += command.substr(start, at - start + 1);
    }
    return words.back().empty() ? std::vector<std::string>{} : words;
}

// Whether a command is `mghft-export trt`: messages ask the user to type the command in the file, so it must be ours.
bool is_our_command(std::string_view command) {
    const std::vector<std::string> words = words_of(command);
    return words.size() >= 2 && words[0] == "mghft-export" && words[1] == "trt";
}

void check_files(const EngineFolder& folder) {
    for (const auto& [branch, entry] : folder.engines) {
        const fs::path path = folder.path / entry.file.path;
        std::error_code error;
        if (!is_inside(folder.path, path)) {
            throw Error(
                text(folder.path.string(), " names '", entry.file.path, "', which is outside of it; ", again(folder)));
        }
        if (!fs::is_regular_file(path, error)) throw Error(text(path.string(), " is missing; ", again(folder)));
        const auto size = fs::file_size(path, error);
        if (error || size != std::uintmax_t(entry.file.bytes)) {
            throw Error(text(path.string(), " was changed after it was built; ", again(folder)));
        }
    }
}

void check_graphs(const EngineFolder& folder, const Bundle& bundle) {
    for (const auto& [branch, entry] : folder.engines) {
        const std::string engine = (folder.path / entry.file.path).string();
        const auto graphs = bundle.manifest.precisions.find(folder.precision);
        if (graphs == bundle.manifest.precisions.end() || graphs->second.count(branch) == 0) {
            throw Error(
                text(engine, " is of a ", folder.precision, " graph that ", bundle.root.string(), " no longer has"));
        }
        const std::string& now = graphs->second.at(branch).file.sha256;
        if (now != entry.onnx.sha256) {
            throw Error(text(engine, " was built of another ", entry.onnx.path, " (", entry.onnx.sha256.substr(0, 8),
                             ") than the bundle's (", now.substr(0, 8), "); ", again(folder)));
        }
    }
}

std::vector<int> numbers(const std::string& version) {
    std::vector<int> found;
    std::istringstream stream(version);
    for (std::string word; std::getline(stream, word, '.');) {
        const bool digits =
            !word.empty() && word.size() < 7 && word.find_first_not_of("0123456789") == std::string::npos;
        if (digits) found.push_back(std::stoi(word));
    }
    if (found.empty()) found.push_back(0);
    return found;
}

// JetPack's headers have a version of four numbers, 10.3.0.30, and its Python package one of three.
bool same_version(const std::string& built, const std::string& here) {
    if (built == here) return true;
    const std::vector<int> first = numbers(built), second = numbers(here);
    const std::size_t known = std::min(first.size(), second.size());
    return known >= 3 && std::equal(first.begin(), first.begin() + std::ptrdiff_t(known), second.begin());
}

const char* title(const std::string& backend) {
    return backend == "rtx" ? "TensorRT-RTX" : "TensorRT";
}

bool is_same_gpu(const Gpu& built, const Gpu& here) {
    if (built.name != here.name || built.sm != here.sm) return false;
    if (built.multiprocessors != 0 && built.multiprocessors != here.multiprocessors) return false;
    if (built.memory == 0) return true;
    const auto [less, more] = std::minmax(built.memory, here.memory);
    return double(less) >= kSameMemory * double(more);
}

bool runs_on(const EngineFolder& folder, const Gpu& gpu) {
    if (folder.backend == "rtx") {
        if (folder.targets.empty()) return gpu.sm >= kAmpere;
        return std::count(folder.targets.begin(), folder.targets.end(), gpu.sm) > 0;
    }
    if (!folder.gpu) return false;
    if (folder.hardware_compatible == "ampere+") return std::min(gpu.sm, folder.gpu->sm) >= kAmpere;
    if (folder.hardware_compatible == "same-sm") return gpu.sm == folder.gpu->sm;
    return is_same_gpu(*folder.gpu, gpu);
}

std::string written(const Gpu& gpu) {
    return text(gpu.name, " (sm", gpu.sm, ")");
}

std::string written_size(const Gpu& gpu) {
    const std::int64_t tenths = (gpu.memory * 10 + (1 << 29)) / (1 << 30);
    return text(" with ", gpu.multiprocessors, " multiprocessors and ", tenths / 10, ".", tenths % 10, " GiB");
}

// Removes an option and its one value from the words of a command.
void drop_option(std::vector<std::string>& words, const std::string& name) {
    const auto option = std::find(words.begin(), words.end(), name);
    if (option != words.end()) words.erase(option, option + std::min<std::ptrdiff_t>(2, words.end() - option));
}

}  // namespace

EngineFolder parse_build_info(const std::string& content, const fs::path& path) {
    const JsonDocument document(content);
    const JsonValue root = document.root();
    const auto version = root["schema_version"].integer();
    if (version != kSchemaVersion) {
        throw Error(text(path.string(), " has schema version ", version, ", this program reads ", kSchemaVersion,
                         "; build the engines again"));
    }
    EngineFolder folder;
    folder.path = path;
    folder.backend = root["backend"].string();
    if (folder.backend != "tensorrt" && folder.backend != "rtx") root["backend"].fail("is not known");
    folder.version = root["version"].string();
    folder.precision = root["precision"].string();
    folder.command = root["command"].string();
    if (!is_our_command(folder.command)) root["command"].fail("is no command of mghft-export trt");
    if (root.has("targets")) {
        const JsonValue targets = root["targets"];
        for (std::size_t index = 0; index < targets.size(); ++index) {
            folder.targets.push_back(static_cast<int>(targets.item(index).integer(0, 1000)));
        }
    }
    if (root.has("gpu")) {
        const JsonValue gpu = root["gpu"];
        folder.gpu = Gpu{gpu["name"].string(), static_cast<int>(gpu["sm"].integer(0, 1000))};
        if (gpu.has("multiprocessors")) {
            folder.gpu->multiprocessors = static_cast<int>(gpu["multiprocessors"].integer(0, 1 << 20));
        }
        if (gpu.has("memory")) folder.gpu->memory = gpu["memory"].integer(0, std::int64_t(1) << 50);
    }
    if (root.has("flags")) {
        folder.version_compatible = root["flags"].boolean_or("version_compatible", false);
        folder.strip_weights = root["flags"].boolean_or("strip_weights", false);
        folder.hardware_compatible = root["flags"].string_or("hardware_compatible", "");
    }
    for (const auto& [branch, entry] : root["engines"].members()) {
        folder.engines[branch] = {read_file_entry(entry["file"]), read_file_entry(entry["onnx"])};
    }
    return folder;
}

std::string EngineFolder::content(const std::string& branch) const {
    const auto entry = engines.find(branch);
    if (entry == engines.end()) {
        throw Error(text(path.string(), " has no ", branch, " engine; build it with: ", command, " --branch ", branch));
    }
    const fs::path file = path / entry->second.file.path;
    std::string found;
    try {
        found = read_file(file);
    } catch (const std::system_error& error) {
        throw Error(text(file.string(), " cannot be read (", error.code().message(), "); ", again(*this)));
    }
    if (hexadecimal(sha256(found)) != entry->second.file.sha256) {
        throw Error(text(file.string(), " was changed after it was built; ", again(*this)));
    }
    return found;
}

fs::path find_engine_folder(const Bundle& bundle, const std::string& engine) {
    std::error_code error;
    const fs::path named = bundle.root / "engines" / engine;
    if (fs::path(engine).filename() == engine && fs::is_directory(named, error)) return named;
    if (fs::is_directory(engine, error)) return engine;
    std::string known;
    for (const std::string& name : bundle.info().engines) known += (known.empty() ? "" : ", ") + name;
    throw Error(text("there are no engines '", engine, "' (", known.empty() ? "the bundle has none" : "the bundle has ",
                     known, "); build them with `mghft-export trt ", bundle.root.string(), "`"));
}

EngineFolder load_engine_folder(const fs::path& folder, const Bundle& bundle) {
    const fs::path path = folder / "build.json";
    std::string content;
    try {
        content = read_file(path);
    } catch (const std::system_error& error) {
        throw Error(text(folder.string(), " has no engines that can be read (", error.code().message(),
                         "); build them with `mghft-export trt`"));
    }
    EngineFolder found;
    try {
        found = parse_build_info(content, folder);
    } catch (const JsonError& error) {
        throw Error(
            text(path.string(), " is damaged (", error.what(), "); build the engines again with `mghft-export trt`"));
    }
    check_files(found);
    check_graphs(found, bundle);
    return found;
}

void check_version(const EngineFolder& folder, const std::string& backend, const std::string& version) {
    const std::vector<int> built = numbers(folder.version), here = numbers(version);
    const bool compatible = folder.version_compatible && built[0] == here[0] && built <= here;
    if (backend != folder.backend || (!same_version(folder.version, version) && !compatible)) {
        throw Error(text(folder.path.string(), " was built with ", title(folder.backend), " ", folder.version,
                         ", and this is ", title(backend), " ", version, "; ", again(folder)));
    }
}

void check_trust(const EngineFolder& folder) {
    if (is_on("MGHFT_TRUST_ENGINES")) return;
    const Lines built = read_own_lines("engines.txt", "mghft-export built engines 1");
    for (const auto& [branch, entry] : folder.engines) {
        if (std::find(built.begin(), built.end(), entry.file.sha256) != built.end()) continue;
        throw Error(text(folder.path.string(),
                         " has engines that were not built here by you, and an engine is a program; if you trust whoever "
                         "built them, add --trust-engine"));
    }
}

void check_host_code(const EngineFolder& folder) {
    if (!folder.version_compatible || is_on("MGHFT_ALLOW_HOST_CODE")) return;
    throw Error(text(folder.path.string(),
                     " has version-compatible engines, which bring code that runs on this machine; if they are your "
                     "own, allow it with MGHFT_ALLOW_HOST_CODE=1 in the environment"));
}

void check_gpu(const EngineFolder& folder, const Gpu& gpu) {
    if (runs_on(folder, gpu)) return;
    std::string built_for;
    std::string here = written(gpu);
    if (folder.gpu) {
        built_for = written(*folder.gpu);
        if (built_for == here) {
            built_for += written_size(*folder.gpu);
            here += written_size(gpu);
        }
    } else if (!folder.targets.empty()) {
        for (const int sm : folder.targets) built_for += (built_for.empty() ? "sm" : ", sm") + std::to_string(sm);
    } else {
        built_for = text("GPUs from sm", kAmpere, " on");
    }
    const std::string target = folder.backend == "rtx" ? text(" --target sm", gpu.sm) : "";
    std::vector<std::string> words = words_of(folder.command);
    drop_option(words, "--target");
    std::string command;
    for (const std::string& word : words) command += (command.empty() ? "" : " ") + word;
    throw Error(text(folder.path.string(), " was built for ", built_for, ", and this is ", here,
                     "; build it for this GPU with: ", command, target));
}

}  // namespace mghft
