// The three branches of a model, ready to run.
#pragma once

#include <memory>
#include <string>

#include "bundle.hpp"
#include "mghft/mghft.hpp"
#include "session.hpp"

namespace mghft {

struct Branches {
    std::unique_ptr<Session> vision, text, fusion;
};

// Whether a provider (Options::provider) computes on the CPU.
bool runs_on_cpu(const std::string& provider);

// Loads and checks the branches. Throws Error.
Branches open_branches(const Bundle& bundle, const Options& options);

}  // namespace mghft
