#include "warning.hpp"

#include "branches.hpp"
#include "bundle.hpp"
#include "saturation.hpp"
#include "say.hpp"

namespace mghft::run {

void warn_of_precision(const std::string& bundle, const Options& options) {
    if (!options.engine.empty() || !runs_on_cpu(options.provider)) return;
    const auto warning = saturation_warning(load_bundle(bundle).manifest, options.precision, cpu_features());
    if (warning) say("warning", *warning);
}

}  // namespace mghft::run
