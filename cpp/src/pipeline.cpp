#include "pipeline.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "half.hpp"
#include "text.hpp"
#include "views.hpp"

namespace mghft {

namespace {

// Texts per run if the session takes any number; more would only fill memory.
constexpr std::size_t kTextsAtOnce = 32;

std::size_t index_of(const std::vector<TensorEntry>& tensors, const std::string& name, const char* branch) {
    for (std::size_t index = 0; index < tensors.size(); ++index) {
        if (tensors[index].name == name) return index;
    }
    throw Error(text("the ", branch, " branch has no tensor '", name, "'; export the bundle again"));
}

void require_shape(const TensorEntry& tensor, const std::vector<std::int64_t>& wanted, const char* branch) {
    if (tensor.shape != wanted) {
        throw Error(text("the tensor '", tensor.name, "' of the ", branch,
                         " branch has not the shape that the manifest's model has; export the bundle again"));
    }
}

void require_floats(const TensorEntry& tensor) {
    if (tensor.type == ElementType::kInt64) {
        throw Error(text("the tensor '", tensor.name, "' holds no floats; export the bundle again"));
    }
}

void write_floats(const float* values, std::size_t count, ElementType type, void* target, std::size_t offset) {
    if (type == ElementType::kFloat16) {
        std::transform(values, values + count, static_cast<std::uint16_t*>(target) + offset, to_half);
    } else {
        std::copy_n(values, count, static_cast<float*>(target) + offset);
    }
}

void read_floats(const void* source, ElementType type, std::size_t count, float* values) {
    if (type == ElementType::kFloat16) {
        const auto* halves = static_cast<const std::uint16_t*>(source);
        std::transform(halves, halves + count, values, from_half);
    } else {
        std::copy_n(static_cast<const float*>(source), count, values);
    }
}

std::size_t features_width(const Session& text) {
    const TensorEntry& output = text.outputs()[index_of(text.outputs(), "text_features", "text")];
    const bool fits =
        text.outputs().size() == 1 && output.shape.size() == 2 && output.shape[0] == -1 && output.shape[1] > 0;
    if (!fits) throw Error("the text branch writes no [batch, C] text_features; export the bundle again");
    return static_cast<std::size_t>(output.shape[1]);
}

}  // namespace

Pipeline::Pipeline(const Manifest& manifest, Tokenizer tokenizer, Branches branches, std::size_t kept_texts)
    : manifest_(manifest),
      branches_(std::move(branches)),
      tokenizer_(std::move(tokenizer)),
      preprocessor_(manifest.image),
      width_(features_width(*branches_.text)),
      text_input_(index_of(branches_.fusion->inputs(), "text_features", "fusion")),
      cache_(std::min<std::size_t>(kept_texts, 1U << 24), width_) {
    check();
}

void Pipeline::check() const {
    const auto& vision = *branches_.vision;
    const auto& text = *branches_.text;
    const auto& fusion = *branches_.fusion;
    const ImageEntry& image = manifest_.image;
    const auto width = static_cast<std::int64_t>(width_);
    const bool counts = vision.inputs().size() == 1 && text.inputs().size() == 2 && fusion.outputs().size() == 1 &&
                        fusion.inputs().size() == vision.outputs().size() + 1;
    if (!counts) throw Error("the branches do not take what one another gives; export the bundle again");
    require_shape(vision.inputs()[index_of(vision.inputs(), "image", "vision")], {-1, 3, image.height, image.width},
                  "vision");
    require_floats(vision.inputs()[0]);
    for (const char* name : {"input_ids", "attention_mask"}) {
        const TensorEntry& input = text.inputs()[index_of(text.inputs(), name, "text")];
        require_shape(input, {-1, -1}, "text");
        if (input.type != ElementType::kInt64) throw Error("token ids are not int64; export the bundle again");
    }
    require_floats(text.outputs()[0]);
    require_shape(fusion.inputs()[text_input_], {-1, 4, width}, "fusion");
    require_floats(fusion.inputs()[text_input_]);
    const TensorEntry& logits = fusion.outputs()[index_of(fusion.outputs(), "logits", "fusion")];
    require_shape(logits, {-1, static_cast<std::int64_t>(manifest_.class_names.size())}, "fusion");
    require_floats(logits);
    for (const TensorEntry& output : vision.outputs()) {
        const TensorEntry& input = fusion.inputs()[index_of(fusion.inputs(), output.name, "fusion")];
        require_shape(input, output.shape, "fusion");
        if (input.name == "text_features") throw Error("vision writes text features; export the bundle again");
        if (input.type != output.type) throw Error("vision and fusion differ in precision; export the bundle again");
        if (output.shape[0] != -1) throw Error("a tensor of the vision branch has no batch; export the bundle again");
    }
}

Shape Pipeline::image_shape(std::size_t count) const {
    return {static_cast<std::int64_t>(count), 3, manifest_.image.height, manifest_.image.width};
}

Shape Pipeline::features_shape(std::size_t count) const {
    return {static_cast<std::int64_t>(count), 4, static_cast<std::int64_t>(width_)};
}

void Pipeline::plan(std::size_t count) {
    if (planned_ == count) return;
    planned_ = 0;
    plan_parts(count);
    planned_ = count;
}

void Pipeline::plan_parts(std::size_t count) {
    parts_.assign(1, count);
    const auto& vision = branches_.vision->profiles();
    if (vision.empty()) return;
    std::vector<Shape> fusion_shapes;
    for (const TensorEntry& input : branches_.fusion->inputs()) {
        Shape shape;
        shape.rank = input.shape.size();
        for (std::size_t index = 0; index < shape.rank; ++index) {
            shape.sizes[index] = input.shape[index] < 0 ? static_cast<std::int64_t>(count) : input.shape[index];
        }
        fusion_shapes.push_back(shape);
    }
    const auto ranges = common_ranges(batch_ranges(vision, {image_shape(count)}),
                                      batch_ranges(branches_.fusion->profiles(), fusion_shapes));
    parts_.clear();
    for (const std::int64_t part : split_batch(static_cast<std::int64_t>(count), ranges)) {
        parts_.push_back(static_cast<std::size_t>(part));
    }
}

void Pipeline::logits(const ImageView* images, const std::string_view* texts, const float* features, std::size_t count,
                      float* output) {
    if (count == 0) return;
    // A faulty sticker is found before any branch runs.
    for (std::size_t number = 0; number < count; ++number) require_image(images[number]);
    plan(count);
    const TensorEntry& input = branches_.vision->inputs()[0];
    const std::size_t pixels = std::size_t(image_shape(1).count()) * type_size(input.type);
    const std::size_t classes = manifest_.class_names.size();
    std::size_t start = 0;
    for (const std::size_t part : parts_) {
        if (!branches_.vision->prepare_images(0, image_shape(part), images + start)) {
            auto* memory = static_cast<char*>(branches_.vision->input(0, image_shape(part)));
            for (std::size_t number = 0; number < part; ++number) {
                preprocessor_.write(images[start + number], input.type, memory + number * pixels);
            }
        }
        branches_.vision->start();
        try {
            if (features == nullptr) {
                features_.resize(count * sticker_width());
                encode_texts(texts, count, features_.data());
                features = features_.data();
            }
            fuse(part, features + start * sticker_width(), output + start * classes);
        } catch (...) {
            branches_.vision->finish();  // it must not still run when its input is filled again
            throw;
        }
        start += part;
    }
}

void Pipeline::fuse(std::size_t count, const float* features, float* output) {
    Session& vision = *branches_.vision;
    Session& fusion = *branches_.fusion;
    const ElementType type = fusion.inputs()[text_input_].type;
    write_floats(features, count * sticker_width(), type, fusion.input(text_input_, features_shape(count)), 0);
    for (std::size_t index = 0; index < fusion.inputs().size(); ++index) {
        if (index == text_input_) continue;
        const std::string& name = fusion.inputs()[index].name;
        const auto& outputs = vision.outputs();
        const auto found = std::find_if(outputs.begin(), outputs.end(),
                                        [&](const TensorEntry& tensor) { return tensor.name == name; });
        fusion.connect(index, vision, static_cast<std::size_t>(found - outputs.begin()));
    }
    fusion.start();
    fusion.finish();
    read_floats(fusion.output(0), fusion.outputs()[0].type, count * manifest_.class_names.size(), output);
}

void Pipeline::encode_texts(const std::string_view* texts, std::size_t count, float* output) {
    // With joined views all four views read the whole text, so one row is enough.
    const std::size_t views = manifest_.text.separate_views ? 4 : 1;
    present_.clear();
    for (std::size_t number = 0; number < count; ++number) {
        if (no_text_.empty() || !is_blank(texts[number])) {
            present_.push_back(number);
        } else {
            std::copy(no_text_.begin(), no_text_.end(), output + number * sticker_width());
        }
    }
    rows_.resize(present_.size() * views);
    for (std::size_t place = 0; place < present_.size(); ++place) {
        const std::string_view sticker_text = texts[present_[place]];
        if (views == 1) {
            require_text(sticker_text);
            rows_[place].text = sticker_text;
        } else {
            const Views split = split_views(sticker_text);
            for (std::size_t view = 0; view < 4; ++view) rows_[place * 4 + view].text = split[view];
        }
    }
    row_features_.resize(rows_.size() * width_);
    missing_.clear();
    same_.resize(rows_.size());
    order_.resize(rows_.size());
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    for (Row& row : rows_) row.key = sha256(row.text);
    // Sorts equal texts beside each other, each in the order of the rows.
    std::sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) {
        return rows_[a].key != rows_[b].key ? rows_[a].key < rows_[b].key : a < b;
    });
    for (std::size_t place = 0; place < order_.size(); ++place) {
        const std::size_t row = order_[place];
        const bool repeated = place > 0 && rows_[order_[place - 1]].key == rows_[row].key;
        same_[row] = repeated ? same_[order_[place - 1]] : row;
        if (repeated) continue;
        if (const float* kept = cache_.find(rows_[row].key)) {
            std::copy_n(kept, width_, row_features_.data() + row * width_);
        } else {
            missing_.push_back(row);
        }
    }
    std::sort(missing_.begin(), missing_.end());
    encode_missing();
    for (std::size_t place = 0; place < present_.size(); ++place) {
        for (std::size_t view = 0; view < 4; ++view) {
            const std::size_t row = same_[place * views + (views == 1 ? 0 : view)];
            std::copy_n(row_features_.data() + row * width_, width_, output + (present_[place] * 4 + view) * width_);
        }
    }
}

void Pipeline::encode_missing() {
    if (missing_.empty()) return;
    to_encode_.clear();
    for (const std::size_t row : missing_) to_encode_.push_back(rows_[row].text);
    tokenize(to_encode_.data(), to_encode_.size());
    // Sorts by length, so that the texts of a run have similar lengths and little padding.
    by_length_.resize(missing_.size());
    std::iota(by_length_.begin(), by_length_.end(), std::size_t{0});
    std::sort(by_length_.begin(), by_length_.end(), [&](std::size_t a, std::size_t b) {
        return ids_[a].size() != ids_[b].size() ? ids_[a].size() < ids_[b].size() : a < b;
    });
    plan_texts(missing_.size(), run_length(padded_length(by_length_.back()), std::nullopt));
    encoded_.resize(missing_.size() * width_);
    std::size_t start = 0;
    for (const std::size_t part : text_parts_) {
        const std::size_t* numbers = by_length_.data() + start;
        write_ids(numbers, part, run_length(padded_length(numbers[part - 1]), part));
        run_text(part, encoded_.data() + start * width_);
        start += part;
    }
    for (std::size_t place = 0; place < missing_.size(); ++place) {
        const std::size_t row = missing_[by_length_[place]];
        const float* features = encoded_.data() + place * width_;
        std::copy_n(features, width_, row_features_.data() + row * width_);
        cache_.keep(rows_[row].key, features);
    }
}

void Pipeline::plan_texts(std::size_t count, std::size_t longest) {
    if (planned_texts_ == count && planned_length_ == longest) return;
    planned_texts_ = 0;
    const auto& profiles = branches_.text->profiles();
    text_parts_.clear();
    if (profiles.empty()) {
        const std::size_t runs = (count + kTextsAtOnce - 1) / kTextsAtOnce;
        for (std::size_t run = 0; run < runs; ++run) text_parts_.push_back((count + run) / runs);
    } else {
        const Shape shape{1, static_cast<std::int64_t>(longest)};
        const auto ranges = batch_ranges(profiles, {shape, shape});
        for (const std::int64_t part : split_batch(static_cast<std::int64_t>(count), ranges)) {
            text_parts_.push_back(static_cast<std::size_t>(part));
        }
    }
    planned_texts_ = count;
    planned_length_ = longest;
}

std::size_t Pipeline::run_length(std::size_t longest, std::optional<std::size_t> count) const {
    const auto& profiles = branches_.text->profiles();
    if (profiles.empty()) return longest;
    const auto runs = [&](std::int64_t length) {
        return std::any_of(profiles.begin(), profiles.end(), [&](const Profile& profile) {
            return std::all_of(profile.begin(), profile.end(), [&](const Extent& extent) {
                const std::int64_t batch = count ? static_cast<std::int64_t>(*count) : extent.least.sizes[0];
                return extent.holds({batch, length});
            });
        });
    };
    const std::int64_t most = manifest_.text.max_length;
    for (std::int64_t step = kShortestText, length = 0; length < most; step = next_text_length(step)) {
        length = std::min(step, most);
        if (length >= std::int64_t(longest) && runs(length)) return std::size_t(length);
    }
    // An engine may have no profile for any of these lengths; then every length is tried.
    for (auto length = std::int64_t(longest); length < most; ++length) {
        if (runs(length)) return std::size_t(length);
    }
    return longest;
}

std::size_t Pipeline::padded_length(std::size_t number) const {
    // If padding is pooled, it changes the feature, so every text is padded to the length used in training.
    return manifest_.text.pools_padding ? static_cast<std::size_t>(manifest_.text.max_length) : ids_[number].size();
}

void Pipeline::tokenize(const std::string_view* texts, std::size_t count) {
    const auto most = static_cast<std::size_t>(manifest_.text.max_length);
    while (ids_.size() < count) ids_.emplace_back().reserve(most);
    for (std::size_t number = 0; number < count; ++number) tokenizer_.encode(texts[number], most, ids_[number]);
}

void Pipeline::write_ids(const std::size_t* numbers, std::size_t count, std::size_t length) {
    Session& session = *branches_.text;
    const Shape shape{static_cast<std::int64_t>(count), static_cast<std::int64_t>(length)};
    const bool ids_first = session.inputs()[0].name == "input_ids";
    auto* ids = static_cast<std::int64_t*>(session.input(ids_first ? 0 : 1, shape));
    auto* mask = static_cast<std::int64_t*>(session.input(ids_first ? 1 : 0, shape));
    for (std::size_t row = 0; row < count; ++row, ids += length, mask += length) {
        const std::vector<std::int64_t>& own = ids_[numbers[row]];
        std::fill(std::copy(own.begin(), own.end(), ids), ids + length, Tokenizer::kPad);
        std::fill(std::fill_n(mask, own.size(), 1), mask + length, 0);
    }
}

void Pipeline::fill_text(const std::string_view* texts, std::size_t count) {
    tokenize(texts, count);
    by_length_.resize(count);
    std::iota(by_length_.begin(), by_length_.end(), std::size_t{0});
    token_length_ = 0;
    for (std::size_t number = 0; number < count; ++number) {
        token_length_ = std::max(token_length_, padded_length(number));
    }
    token_length_ = run_length(token_length_, count);
    write_ids(by_length_.data(), count, token_length_);
}

void Pipeline::run_text(std::size_t count, float* output) {
    Session& session = *branches_.text;
    session.start();
    session.finish();
    read_floats(session.output(0), session.outputs()[0].type, count * width_, output);
}

}  // namespace mghft
