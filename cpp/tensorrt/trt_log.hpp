// TensorRT's error messages, from which this library makes its sentences.
#pragma once

#include <NvInfer.h>

#include <mutex>
#include <string>

namespace mghft {

// Keeps TensorRT's last error for our messages and prints nothing.
class TrtLog final : public nvinfer1::ILogger {
  public:
    // TensorRT keeps the first logger that it gets for as long as any of its objects lives. So all sessions share one
    // logger, which is never destroyed.
    static TrtLog& shared();

    void log(Severity severity, const char* message) noexcept override;
    std::string take_error();

  private:
    std::mutex mutex_;
    std::string error_;
};

}  // namespace mghft
