// What TensorRT says: its errors, for the sentences that are made of them.
#pragma once

#include <NvInfer.h>

#include <mutex>
#include <string>

namespace mghft {

// TensorRT's messages: the last error is kept for ours, nothing is printed.
class TrtLog final : public nvinfer1::ILogger {
  public:
    // TensorRT keeps the first logger that it is given as long as anything of it lives, so all sessions share one,
    // which is never destroyed.
    static TrtLog& shared();

    void log(Severity severity, const char* message) noexcept override;
    std::string take_error();

  private:
    std::mutex mutex_;
    std::string error_;
};

}  // namespace mghft
