// Classify stickers with a bundle of mghft-export: the C++ API.
//
//     mghft::Classifier classifier("bundle");
//     auto predictions = classifier.predict({mghft::Image::open("cat.webp")}, {"#The sticker's intention ..."});
//     std::cout << classifier.info().class_names[predictions[0].label];
//
// Every failure throws mghft::Error; its message is one sentence that says what to do.
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

// An error that a user can cause; the message is for people.
class MGHFT_API Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// The library's version, "major.minor.patch".
MGHFT_API const char* version();

// Whether text runs beside vision, in its own thread or on its own stream.
enum class Overlap { kAuto, kOff, kOn };

struct Options {
    std::string precision = "fp32";    // the precision of the bundle's graphs that run
    std::string provider = "cpu";      // cpu, cuda or tensorrt of ONNX Runtime; or openvino, openvino-bf16, on the CPU
    std::string engine;                // native engines: a folder, or its name in the bundle's engines/
    int threads = 0;                   // threads of one operator on the CPU; 0 for the provider's own choice
    Overlap overlap = Overlap::kAuto;  // kAuto: off on the CPU, where each branch uses all cores
    std::size_t kept_texts = 4096;     // number of texts to keep the features of from call to call
};

// Pixels that the caller owns, RGB or RGBA, 8 bits a channel, not premultiplied.
struct ImageView {
    const std::uint8_t* pixels = nullptr;
    int width = 0;
    int height = 0;
    int channels = 4;              // 3 or 4
    std::ptrdiff_t row_bytes = 0;  // from one row to the next
};

// A decoded sticker: one frame in sRGB, turned as its metadata say, with its transparency.
class MGHFT_API Image {
  public:
    // PNG, JPEG, WebP, GIF, AVIF, BMP, PNM or TIFF. `frame` is "first", "middle" (of n frames number n / 2) or a number
    // from 0; a still image has one frame. At most `max_pixels` are decoded, counting all frames on the way to the
    // chosen one.
    static Image open(const std::string& path, const std::string& frame = "middle",
                      std::uint64_t max_pixels = std::uint64_t{1} << 31);
    // The same from a file's content; messages call it `name`.
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

// The description of a bundle.
struct BundleInfo {
    std::string producer;
    std::string checkpoint;
    bool trained = false;
    std::vector<std::string> class_names;
    std::vector<std::string> precisions;
    std::vector<std::string> engines;  // names of folders in engines/
    int image_height = 0;
    int image_width = 0;
    std::string text_views;    // "joined" or "separate"
    std::string text_pooling;  // "all" or "masked"
    int text_length = 0;       // most tokens of a text
    int feature_width = 0;     // C of text features [4, C]
    bool no_text = false;      // whether the model also takes stickers without text, given as an empty text
};

// Reads and checks a bundle's manifest, not its graphs.
MGHFT_API BundleInfo read_bundle_info(const std::string& bundle);

// Text features as `mghft-export encode-text` writes them.
struct TextFeatures {
    std::vector<std::string> names;  // names of the stickers; one empty name if the row is for any sticker
    std::vector<float> values;       // [names, 4, C]
    std::size_t row = 0;             // number of values of one sticker: 4 x C

    // The row of a sticker, found by its file's name without folders.
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

    // Takes one text for each image.
    std::vector<Prediction> predict(const std::vector<Image>& images, const std::vector<std::string>& texts);

    // The same without allocating memory, once it has run a batch of this size and texts of this length.
    // Writes [count, classes].
    void logits(const ImageView* images, const std::string_view* texts, std::size_t count, float* output);
    // The same with the features of each sticker, [count, 4, C], instead of texts.
    void logits(const ImageView* images, const float* features, std::size_t count, float* output);

    // Writes the texts' features, [count, 4, C].
    void encode_texts(const std::string_view* texts, std::size_t count, float* output);

    // Reads an .npz file and checks that this bundle's text branch made it.
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
