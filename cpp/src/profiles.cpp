#include "profiles.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <tuple>
#include <utility>

#include "mghft/mghft.hpp"
#include "text.hpp"

namespace mghft {

namespace {

[[noreturn]] void no_profile(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes) {
    std::string taken;
    for (const Profile& profile : profiles) {
        taken += (taken.empty() ? "" : " or ") + profile[0].least.written() + " to " + profile[0].most.written();
    }
    throw Error(text("the engine has no profile for an input of ", shapes[0].written(), ", it takes ", taken,
                     "; build it with wider --batch or --text-length"));
}

bool holds(const Profile& profile, const std::vector<Shape>& shapes) {
    for (std::size_t input = 0; input < shapes.size(); ++input) {
        if (!profile[input].holds(shapes[input])) return false;
    }
    return true;
}

// The fewest batches that add up to `count`, by dynamic programming over all smaller sums; empty if there is no way.
std::vector<std::int64_t> shortest_sum(std::int64_t count, const std::vector<BatchRange>& ranges) {
    constexpr auto kNever = std::numeric_limits<std::int64_t>::max();
    const auto size = static_cast<std::size_t>(count) + 1;
    std::vector<std::int64_t> runs(size, kNever), last(size, 0);
    runs[0] = 0;
    for (std::size_t total = 1; total < size; ++total) {
        for (const BatchRange& range : ranges) {
            for (std::int64_t part = range.least; part <= std::min<std::int64_t>(range.most, std::int64_t(total));
                 ++part) {
                const std::int64_t before = runs[total - std::size_t(part)];
                if (before != kNever && before + 1 < runs[total]) {
                    runs[total] = before + 1;
                    last[total] = part;
                }
            }
        }
    }
    std::vector<std::int64_t> parts;
    while (count > 0 && last[std::size_t(count)] > 0) {
        parts.push_back(last[std::size_t(count)]);
        count -= parts.back();
    }
    return parts;
}

}  // namespace

bool Extent::holds(const Shape& shape) const {
    if (shape.rank != most.rank) return false;
    for (std::size_t index = 0; index < shape.rank; ++index) {
        if (shape.sizes[index] < least.sizes[index] || shape.sizes[index] > most.sizes[index]) return false;
    }
    return true;
}

std::size_t choose_profile(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes) {
    std::optional<std::tuple<std::int64_t, double, std::size_t>> best;
    for (std::size_t number = 0; number < profiles.size(); ++number) {
        if (!holds(profiles[number], shapes)) continue;
        std::int64_t largest = 0;
        double distance = 0;  // twice as large and half as large are equally far
        for (std::size_t input = 0; input < shapes.size(); ++input) {
            const Extent& extent = profiles[number][input];
            largest += extent.most.count();
            distance += std::fabs(std::log(double(shapes[input].count()) / double(extent.best.count())));
        }
        const auto cost = std::make_tuple(largest, distance, number);
        if (!best || cost < *best) best = cost;
    }
    if (!best) no_profile(profiles, shapes);
    return std::get<2>(*best);
}

std::vector<BatchRange> batch_ranges(const std::vector<Profile>& profiles, const std::vector<Shape>& shapes) {
    std::set<std::pair<std::int64_t, std::int64_t>, std::greater<>> found;
    for (const Profile& profile : profiles) {
        std::int64_t least = 1, most = std::numeric_limits<std::int64_t>::max();
        for (std::size_t input = 0; input < shapes.size(); ++input) {
            least = std::max(least, profile[input].least.sizes[0]);
            most = std::min(most, profile[input].most.sizes[0]);
        }
        std::vector<Shape> smallest = shapes;
        for (Shape& shape : smallest) shape.sizes[0] = least;
        if (least <= most && holds(profile, smallest)) found.emplace(most, least);
    }
    if (found.empty()) no_profile(profiles, shapes);
    std::vector<BatchRange> ranges;
    for (const auto& [most, least] : found) ranges.push_back({least, most});
    return ranges;
}

std::vector<BatchRange> common_ranges(const std::vector<BatchRange>& first, const std::vector<BatchRange>& second) {
    std::set<std::pair<std::int64_t, std::int64_t>, std::greater<>> found;
    for (const BatchRange& a : first) {
        for (const BatchRange& b : second) {
            const std::int64_t least = std::max(a.least, b.least), most = std::min(a.most, b.most);
            if (least <= most) found.emplace(most, least);
        }
    }
    std::vector<BatchRange> ranges;
    for (const auto& [most, least] : found) ranges.push_back({least, most});
    return ranges;
}

std::vector<std::int64_t> split_batch(std::int64_t count, const std::vector<BatchRange>& ranges) {
    std::vector<std::int64_t> parts;
    if (ranges.size() > 1) {
        parts = shortest_sum(count, ranges);
    } else if (ranges.size() == 1) {
        parts.assign(std::size_t((count + ranges[0].most - 1) / ranges[0].most), 1);
    }
    const auto number = static_cast<std::int64_t>(parts.size());
    for (const BatchRange& range : ranges) {
        if (number * range.least <= count && count <= number * range.most) {
            for (std::int64_t part = 0; part < number; ++part) {
                parts[std::size_t(part)] = count / number + (part < count % number ? 1 : 0);
            }
            return parts;
        }
    }
    if (ranges.size() < 2 || parts.empty()) {
        std::string listed;
        for (const BatchRange& range : ranges) {
            listed += (listed.empty() ? "" : " or ") + std::to_string(range.least);
            if (range.most > range.least) listed += " to " + std::to_string(range.most);
        }
        throw Error(text("a batch of ", count, " cannot be made of the engines' batches (",
                         listed.empty() ? "none" : listed,
                         "); build them with a minimum batch of 1, `mghft-export trt --batch 1,8,32`"));
    }
    return parts;
}

}  // namespace mghft
