#include "machine.hpp"

#include <onnxruntime_cxx_api.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <thread>

#include "files.hpp"
#include "mghft/mghft.hpp"
#ifdef MGHFT_OPENVINO
#include "ov_session.hpp"
#endif

namespace mghft::run {

namespace {

using Json = nlohmann::ordered_json;

Json first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    return std::getline(file, line) ? Json(line) : Json();
}

std::string processor() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(':');
        const bool named = line.rfind("model name", 0) == 0 || line.rfind("Model", 0) == 0;
        if (named && colon != std::string::npos && colon + 2 <= line.size()) return line.substr(colon + 2);
    }
    utsname system{};
    uname(&system);
    return system.machine;
}

// A Jetson's power mode from `nvpmodel -q`; null on other machines.
Json power_mode() {
    if (::access("/usr/sbin/nvpmodel", X_OK) != 0) return {};
    const std::unique_ptr<FILE, int (*)(FILE*)> answer(::popen("/usr/sbin/nvpmodel -q 2>/dev/null", "r"), ::pclose);
    if (!answer) return {};
    std::string said;
    char block[256];
    while (std::fgets(block, sizeof block, answer.get()) != nullptr) said += block;
    for (char& letter : said) letter = letter == '\n' ? ' ' : letter;
    return said.empty() ? Json() : Json(said);
}

std::string time_now() {
    const std::time_t seconds = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
    return text;
}

}  // namespace

Json machine() {
    utsname system{};
    uname(&system);
    return {
        {"processor", processor()},
        {"cores", std::thread::hardware_concurrency()},
        {"memory_bytes", std::uint64_t(sysconf(_SC_PHYS_PAGES)) * std::uint64_t(sysconf(_SC_PAGE_SIZE))},
        {"system", system.sysname},
        {"kernel", system.release},
        {"python", nullptr},
        {"cpu_governor", first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
        {"power_mode", power_mode()},
    };
}

Json provenance(const std::string& bundle) {
    const Json manifest = Json::parse(read_file(bundle + "/manifest.json"));
    double load = 0;
    const bool has_load = getloadavg(&load, 1) == 1;
    Json graphs = Json::object();
    for (const auto& [precision, branches] : manifest.at("precisions").items()) {
        for (const auto& [branch, graph] : branches.items()) {
            graphs[precision][branch] = graph.at("file").at("sha256");
        }
    }
    Json versions = {{"onnxruntime", Ort::GetVersionString()}};
#ifdef MGHFT_OPENVINO
    versions["openvino"] = openvino_version();
#endif
    return {
        {"producer", std::string("mghft-run ") + mghft::version()},
        {"commit", nullptr},
        {"time", time_now()},
        {"load_average", has_load ? Json(load) : Json()},
        {"gpu", {{"none", "not asked for by mghft-run"}}},
        {"versions", versions},
        {"trained", manifest.at("trained")},
        {"model", manifest.value("model", Json::object())},
        {"checkpoint", manifest.at("checkpoint")},
        {"graphs", graphs},
        {"engines", Json::object()},
    };
}

}  // namespace mghft::run
