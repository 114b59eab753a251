#include "trt_log.hpp"

#include <new>
#include <utility>

namespace mghft {

TrtLog& TrtLog::shared() {
    static TrtLog& log = *new TrtLog;
    return log;
}

void TrtLog::log(Severity severity, const char* message) noexcept {
    if (severity > Severity::kERROR || message == nullptr) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    try {
        error_ = message;
    } catch (const std::bad_alloc&) {
        error_.clear();
    }
}

std::string TrtLog::take_error() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return error_.empty() ? "no reason given" : std::exchange(error_, {});
}

}  // namespace mghft
