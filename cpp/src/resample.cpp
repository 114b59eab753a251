#include "resample.hpp"

#include <algorithm>
#include <cmath>

namespace mghft {

namespace {

constexpr double kSupport = 2.0;  // of the bicubic kernel

// Keys' kernel with a = -0.5, in Pillow's order of operations.
double bicubic(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

}  // namespace

void plan_axis(Axis& axis, int source, std::int64_t resized, std::int64_t first_kept, int kept) {
    axis.source = source;
    axis.resized = resized;
    axis.kept = kept;
    const double scale = static_cast<double>(source) / static_cast<double>(resized);
    const double widened = std::max(scale, 1.0);  // when shrinking, the kernel covers more pixels (antialiasing)
    const double support = kSupport * widened;
    axis.taps = static_cast<int>(std::ceil(support)) * 2 + 1;
    axis.starts.resize(static_cast<std::size_t>(kept));
    axis.counts.resize(static_cast<std::size_t>(kept));
    axis.weights.resize(static_cast<std::size_t>(kept) * static_cast<std::size_t>(axis.taps));
    for (int pixel = 0; pixel < kept; ++pixel) {
        const double centre = (static_cast<double>(first_kept + pixel) + 0.5) * scale;
        const int start = std::max(static_cast<int>(centre - support + 0.5), 0);
        const int end = std::min(static_cast<int>(centre + support + 0.5), source);
        const auto weight = [&](int x) { return bicubic((x - centre + 0.5) * (1.0 / widened)); };
        double sum = 0;
        for (int x = start; x < end; ++x) sum += weight(x);
        std::int32_t* weights = axis.weights.data() + std::ptrdiff_t{pixel} * axis.taps;
        for (int x = start; x < end; ++x) {
            const double share = sum == 0 ? weight(x) : weight(x) / sum;
            weights[x - start] = static_cast<std::int32_t>((share < 0 ? -0.5 : 0.5) + share * (1 << kWeightBits));
        }
        axis.starts[static_cast<std::size_t>(pixel)] = start;
        axis.counts[static_cast<std::size_t>(pixel)] = end - start;
    }
}

std::int64_t crop_start(std::int64_t resized, std::int64_t kept) {
    const std::int64_t rest = resized - kept;
    const std::int64_t half = rest / 2;
    return rest % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

Size resized_size(Size image, Size target, double crop_fraction) {
    const auto width = static_cast<double>(image.width), height = static_cast<double>(image.height);
    const double least_width = std::floor(static_cast<double>(target.width) / crop_fraction);
    const double least_height = std::floor(static_cast<double>(target.height) / crop_fraction);
    const auto whole = [](double pixels) { return static_cast<std::int64_t>(pixels); };
    if (least_width * height >= least_height * width) {
        return {whole(least_width), whole(least_width * height / width)};
    }
    return {whole(least_height * width / height), whole(least_height)};
}

}  // namespace mghft
