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
    // Throws Error where the branches are not of one model.
    Pipeline(const Manifest& manifest, Tokenizer tokenizer, Branches branches, std::size_t kept_texts);

    // Features [4, C] of a sticker without text; without them an empty text is an error.
    void set_no_text(std::vector<float> features) { no_text_ = std::move(features); }

    // Writes [count, classes]. Of texts and features one is given. Vision runs while texts are encoded, where its
    // session runs by itself.
    void logits(const ImageView* images, const std::string_view* texts, const float* features, std::size_t count,
                float* output);

    // Writes [count, 4, C]. A text that is kept, or stands twice among the texts, is encoded once; an empty one is that
    // of a sticker without text.
    void encode_texts(const std::string_view* texts, std::size_t count, float* output);

    // Floats of one text's features, and of the four of a sticker.
    std::size_t width() const { return width_; }
    std::size_t sticker_width() const { return 4 * width_; }

    // One branch at a time, for measuring it.
    Session& vision() { return *branches_.vision; }
    Session& text() { return *branches_.text; }
    Session& fusion() { return *branches_.fusion; }
    Preprocessor& preprocessor() { return preprocessor_; }

    // Runs vision and fusion on pixels that are in vision's input already; `features` as in `logits`.
    void fuse(std::size_t count, const float* features, float* output);
    // Writes token ids and masks of all `texts` into the text session's inputs.
    void fill_text(const std::string_view* texts, std::size_t count);
    // Tokens of a text in the last of these calls.
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
    // Tokens that a run of texts of up to `longest` is padded to, for so many texts, or for any number.
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
    std::vector<std::size_t> missing_;  // rows whose texts have to be encoded, each text once
    std::vector<std::size_t> same_;     // by row, the row whose features it takes
    std::vector<std::size_t> order_;
    std::vector<std::string_view> to_encode_;
    std::vector<std::vector<std::int64_t>> ids_;
    std::vector<float> encoded_, row_features_, features_;
};

}  // namespace mghft
