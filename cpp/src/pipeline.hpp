// From stickers to logits: preprocessing, texts, the three branches.
#pragma once

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "branches.hpp"
#include "preprocess.hpp"
#include "text_cache.hpp"
#include "tokenizer.hpp"

namespace mghft {

class Pipeline {
  public:
    // Throws Error if the branches do not belong to one model.
    Pipeline(const Manifest& manifest, Tokenizer tokenizer, Branches branches, std::size_t kept_texts);

    // Sets the features [4, C] of a sticker without text; without them an empty text is an error.
    void set_no_text(std::vector<float> features) { no_text_ = std::move(features); }

    // Writes [count, classes]. Either texts or features are given. Vision runs while texts are encoded, if its session
    // runs in the background.
    void logits(const ImageView* images, const std::string_view* texts, const float* features, std::size_t count,
                float* output);

    // Writes [count, 4, C]. A text with kept features is not encoded again, and equal texts are encoded once. An empty
    // text stands for a sticker without text.
    void encode_texts(const std::string_view* texts, std::size_t count, float* output);

    // Number of floats of one text's features, and of a sticker's four.
    std::size_t width() const { return width_; }
    std::size_t sticker_width() const { return 4 * width_; }

    // Single branches, for measuring them.
    Session& vision() { return *branches_.vision; }
    Session& text() { return *branches_.text; }
    Session& fusion() { return *branches_.fusion; }
    Preprocessor& preprocessor() { return preprocessor_; }

    // Runs vision and fusion on pixels that are in vision's input already; `features` as in `logits`.
    void fuse(std::size_t count, const float* features, float* output);
    // Writes token ids and masks of all `texts` into the text session's inputs.
    void fill_text(const std::string_view* texts, std::size_t count);
    // Tokens per text in the last call of `fill_text`.
    std::size_t token_length() const { return token_length_; }
    // Starts the text session's run, waits for it and writes [count, C].
    void run_text(std::size_t count, float* output);

  private:
    struct Row {
        Digest key{};
        std::string_view text;
    };

    void check() const;
    void plan(std::size_t count);
    void plan_parts(std::size_t count);
    void encode_missing();
    void plan_texts(std::size_t count, std::size_t longest);
    // The tokens that texts of up to `longest` tokens are padded to, in a run of `count` texts or of any number.
    std::size_t run_length(std::size_t longest, std::optional<std::size_t> count) const;
    std::size_t padded_length(std::size_t number) const;
    void tokenize(const std::string_view* texts, std::size_t count);
    // Writes the ids of some of the tokenised texts, and their masks, into the text session's inputs.
    void write_ids(const std::size_t* numbers, std::size_t count, std::size_t length);
    Shape image_shape(std::size_t count) const;
    Shape features_shape(std::size_t count) const;

    Manifest manifest_;
    Branches branches_;
    Tokenizer tokenizer_;
    Preprocessor preprocessor_;
    std::size_t width_ = 0;
    std::size_t text_input_ = 0;  // index of text_features among fusion's inputs
    TextCache cache_;
    std::vector<float> no_text_;

    // Kept between calls.
    std::size_t planned_ = 0, planned_texts_ = 0, planned_length_ = 0, token_length_ = 0;
    std::vector<std::size_t> parts_, text_parts_, by_length_;
    std::vector<std::size_t> present_;  // stickers that have a text
    std::vector<Row> rows_;
    std::vector<std::size_t> missing_;  // rows with texts to encode, each text once
    std::vector<std::size_t> same_;     // for each row, the row that it takes its features from
    std::vector<std::size_t> order_;
    std::vector<std::string_view> to_encode_;
    std::vector<std::vector<std::int64_t>> ids_;
    std::vector<float> encoded_, row_features_, features_;
};

}  // namespace mghft
