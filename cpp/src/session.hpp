// The interface of what runs one branch: ONNX Runtime (ort_session.hpp), OpenVINO (ov_session.hpp) or a TensorRT engine
// (trt_session.hpp).
//
// A run is: fill the memory of the inputs, start, finish, read the memory of the outputs. Memory is kept from run to
// run and grows when a run needs more. A session is used by one thread at a time.
#pragma once

#include <vector>

#include "manifest.hpp"
#include "mghft/mghft.hpp"
#include "profiles.hpp"
#include "shape.hpp"

namespace mghft {

class Session {
  public:
    Session() = default;
    virtual ~Session() = default;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    virtual const std::vector<TensorEntry>& inputs() const = 0;
    virtual const std::vector<TensorEntry>& outputs() const = 0;

    // The profiles of an engine; empty if any batch runs.
    virtual const std::vector<Profile>& profiles() const = 0;

    // Host memory of an input of this shape, to be filled before the start; valid until the next call for this input.
    virtual void* input(std::size_t index, const Shape& shape) = 0;

    // Prepares images on the session's device instead; false if it cannot, and the caller must fill `input`.
    virtual bool prepare_images(std::size_t index, const Shape& shape, const ImageView* images) {
        static_cast<void>(index), static_cast<void>(shape), static_cast<void>(images);
        return false;
    }

    // Uses an output of a session of the same kind as an input, without a copy; call it before every start.
    virtual void connect(std::size_t index, Session& source, std::size_t output) = 0;

    // Begins a run. May return before it is done.
    virtual void start() = 0;

    // Waits for the run. Throws Error if it failed.
    virtual void finish() = 0;

    // Host memory of an output after a run; valid until the next start. Not for outputs that stay on a device.
    virtual const void* output(std::size_t index) const = 0;
};

}  // namespace mghft
