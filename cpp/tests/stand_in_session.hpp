// Branches without a model: what they compute is simple enough to be foretold.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "branches.hpp"
#include "buffer.hpp"
#include "session.hpp"

namespace mghft {

class StandInSession : public Session {
  public:
    StandInSession(std::vector<TensorEntry> inputs, std::vector<TensorEntry> outputs,
                   std::vector<Profile> profiles = {})
        : inputs_(std::move(inputs)),
          outputs_(std::move(outputs)),
          profiles_(std::move(profiles)),
          shapes_(inputs_.size()),
          memory_(inputs_.size()),
          result_(outputs_.size()) {
        runs.reserve(64);
    }

    const std::vector<TensorEntry>& inputs() const override { return inputs_; }
    const std::vector<TensorEntry>& outputs() const override { return outputs_; }
    const std::vector<Profile>& profiles() const override { return profiles_; }
    void* input(std::size_t index, const Shape& shape) override {
        shapes_[index] = shape;
        return memory_[index].reserve(std::size_t(shape.count()) * 8);
    }
    void connect(std::size_t index, Session& source, std::size_t output) override {
        source.finish();
        source_ = static_cast<const float*>(source.output(output));
        source_index_ = index;
    }
    void start() override {
        const Shape& shape = shapes_[0].rank != 0 ? shapes_[0] : shapes_[1];
        runs.push_back(shape);
        const auto batch = std::size_t(shape.sizes[0]);
        auto* result = static_cast<float*>(result_[0].reserve(batch * 2 * sizeof(float)));
        for (std::size_t row = 0; row < batch; ++row) compute(row, result + row * 2);
    }
    void finish() override {}
    const void* output(std::size_t index) const override { return result_[index].data(); }

    std::vector<Shape> runs;

  protected:
    // Two floats of a row.
    virtual void compute(std::size_t row, float* result) = 0;

    std::vector<TensorEntry> inputs_, outputs_;
    std::vector<Profile> profiles_;
    std::vector<Shape> shapes_;
    std::vector<Buffer> memory_, result_;
    const float* source_ = nullptr;
    std::size_t source_index_ = 0;
};

// The first pixel, and 1.
struct StandInVision : StandInSession {
    explicit StandInVision(std::vector<Profile> profiles = {})
        : StandInSession({{"image", {-1, 3, 32, 32}, ElementType::kFloat32}},
                         {{"tokens", {-1, 2}, ElementType::kFloat32}}, std::move(profiles)) {}
    void compute(std::size_t row, float* result) override {
        result[0] = static_cast<const float*>(memory_[0].data())[row * 3 * 32 * 32];
        result[1] = 1;
    }
};

// The second token id, and how many tokens the mask has.
struct StandInText : StandInSession {
    explicit StandInText(std::vector<Profile> profiles = {})
        : StandInSession(
              {{"input_ids", {-1, -1}, ElementType::kInt64}, {"attention_mask", {-1, -1}, ElementType::kInt64}},
              {{"text_features", {-1, 2}, ElementType::kFloat32}}, std::move(profiles)) {}
    void compute(std::size_t row, float* result) override {
        const auto length = std::size_t(shapes_[0].sizes[1]);
        const auto* ids = static_cast<const std::int64_t*>(memory_[0].data()) + row * length;
        const auto* mask = static_cast<const std::int64_t*>(memory_[1].data()) + row * length;
        result[0] = static_cast<float>(ids[1]);
        result[1] = static_cast<float>(std::count(mask, mask + length, 1));
    }
};

// The vision branch's first value, and the sum of all text features.
struct StandInFusion : StandInSession {
    explicit StandInFusion(std::vector<Profile> profiles = {})
        : StandInSession(
              {{"tokens", {-1, 2}, ElementType::kFloat32}, {"text_features", {-1, 4, 2}, ElementType::kFloat32}},
              {{"logits", {-1, 2}, ElementType::kFloat32}}, std::move(profiles)) {}
    void compute(std::size_t row, float* result) override {
        const auto* features = static_cast<const float*>(memory_[1].data()) + row * 8;
        result[0] = source_[row * 2];
        result[1] = 0;
        for (std::size_t index = 0; index < 8; ++index) result[1] += features[index];
    }
};

inline Manifest stand_in_manifest(bool separate_views = false, bool pools_padding = false) {
    Manifest manifest;
    manifest.class_names = {"a", "b"};
    manifest.image = {32, 32, 1, {0, 0, 0}, {1, 1, 1}, {255, 255, 255}};
    manifest.text = {separate_views, pools_padding, 16};
    manifest.tokenizer.path = "tokenizer.json";
    return manifest;
}

// Words one, two and three have the ids 11, 12 and 13.
inline const char* stand_in_tokenizer() {
    return R"({"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
    "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "[CLS]"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "[SEP]"}}],
        "special_tokens": {"[CLS]": {"ids": [2]}, "[SEP]": {"ids": [3]}}}, "added_tokens": [],
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100,
              "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "one": 11, "two": 12, "three": 13}}})";
}

}  // namespace mghft
