// The three branches of a model, ready to run.
#pragma once

#include <memory>

#include "bundle.hpp"
#include "mghft/mghft.hpp"
#include "session.hpp"

namespace mghft {

struct Branches {
    std::unique_ptr<Session> vision, text, fusion;
};

// Loads and checks the branches. Throws Error.
Branches open_branches(const Bundle& bundle, const Options& options);

}  // namespace mghft
