// Classify stickers with a bundle of mghft-export: the C++ API.
//
//     mghft::Classifier classifier("bundle");
//     auto predictions = classifier.predict({mghft::Image::open("cat.webp")}, {"#The sticker's intention ..."});
//     std::cout << classifier.info().class_names[predictions[0].label];
//
// Everything that fails throws mghft::Error, whose message is one sentence that says what to do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "mghft/export.h"

namespace mghft {

// What a user can cause; the message is meant for people.
class MGHFT_API Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The library's version, "major.minor.patch".
MGHFT_API const char* version();

// Whether text runs beside vision, in a thread or on a stream of its own.
enum class Overlap { kAuto, kOff, kOn };

struct Options {
    std::string precision = "fp32";    // which of the bundle's graphs run
    std::string provider = "cpu";      // cpu, cuda or tensorrt of ONNX Runtime; or openvino, openvino-bf16, on the CPU
    std::string engine;                // native engines: a folder, or its name in the bundle's engines/
    int threads = 0;                   // of one operator on the CPU; 0 for the provider's own choice
    Overlap overlap = Overlap::kAuto;  // kAuto: not on the CPU, where both branches want all cores
    std::size_t kept_texts = 4096;     // texts whose features are kept from call to call
};

// Pixels that somebody else owns, RGB or RGBA, 8 bits a channel, not premultiplied.
struct ImageView {
    const std::uint8_t* pixels = nullptr;
    int width = 0;
    int height = 0;
    int channels = 4;              // 3 or 4
    std::ptrdiff_t row_bytes = 0;  // from one row to the next
};

// A decoded sticker: one frame, turned as its metadata say, its colours those of sRGB, transparency kept.
class MGHFT_API Image {
  public:
    // PNG, JPEG, WebP, GIF, AVIF, BMP, PNM or TIFF. `frame` is "first", "middle" (of n frames number n / 2) or a number
    // from 0; a still image has one frame. More than `max_pixels` are not decoded; all frames on the way to the chosen one
    // count.
    static Image open(const std::string& path, const std::string& frame = "middle",
                      std::uint64_t max_pixels = std::uint64_t{1} << 31);
    // The content of such a file; `name` stands in messages.
    static Image decode(std::string_view content, const std::string& name = "the image",
                        const std::string& frame = "middle", std::uint64_t max_pixels = std::uint64_t{1} << 31);

    ImageView view() const;

  private:
    friend class ImageAccess;
    std::vector<std::uint8_t> pixels_;
    int width_ = 0;
    int height_ = 0;
    int channels_ = 4;
};

struct Prediction {
    std::size_t label = 0;             // index of the most probable class
    std::vector<float> probabilities;  // in the order of class_names
    std::vector<float> logits;
};

// What a bundle is.
struct BundleInfo {
    std::string producer;
    std::string checkpoint;
    bool trained = false;
    std::vector<std::string> class_names;
    std::vector<std::string> precisions;
    std::vector<std::string> engines;  // folders in engines/
    int image_height = 0;
    int image_width = 0;
    std::string text_views;    // "joined" or "separate"
    std::string text_pooling;  // "all" or "masked"
    int text_length = 0;       // most tokens of a text
    int feature_width = 0;     // C of text features [4, C]
    bool no_text = false;      // whether the model was trained for stickers without text, too: their text is empty
};

// Reads and checks a bundle's manifest, not its graphs.
MGHFT_API BundleInfo read_bundle_info(const std::string& bundle);

// Text features as `mghft-export encode-text` writes them.
struct TextFeatures {
    std::vector<std::string> names;  // of the stickers; one empty name where the row fits any sticker
    std::vector<float> values;       // [names, 4, C]
    std::size_t row = 0;             // values of one sticker: 4 x C

    // The row of a sticker, by its file's name without folders.
    MGHFT_API const float* of(const std::string& file_name) const;
};

// A bundle that is loaded and checked; used by one thread at a time.
class MGHFT_API Classifier {
  public:
    explicit Classifier(const std::string& bundle, const Options& options = {});
    ~Classifier();
    Classifier(Classifier&&) noexcept;
    Classifier& operator=(Classifier&&) noexcept;

    const BundleInfo& info() const;

    // A text for each image.
    std::vector<Prediction> predict(const std::vector<Image>& images, const std::vector<std::string>& texts);

    // The same without allocating once a batch of this size and texts of this length were seen.
    // Writes [count, classes].
    void logits(const ImageView* images, const std::string_view* texts, std::size_t count, float* output);
    // With the features of each sticker, [count, 4, C].
    void logits(const ImageView* images, const float* features, std::size_t count, float* output);

    // Writes [count, 4, C].
    void encode_texts(const std::string_view* texts, std::size_t count, float* output);

    // Reads an .npz and checks that this bundle's text branch made it.
    TextFeatures load_text_features(const std::string& path) const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

// The logits of one sticker as a prediction.
MGHFT_API Prediction to_prediction(const float* logits, std::size_t classes);

// Logits to probabilities, in place.
MGHFT_API void softmax(float* values, std::size_t count);

}  // namespace mghft
