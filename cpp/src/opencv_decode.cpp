#include "opencv_decode.hpp"

#include <cmath>
#include <limits>
#include <mutex>
#include <opencv2/core.hpp>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgcodecs.hpp>

namespace mghft {

namespace {

// What OpenCV has to say of a damaged file we say ourselves, in one sentence.
void silence_opencv() {
    static std::once_flag once;
    std::call_once(once, [] { cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT); });
}

// Grey of 16 bits is rounded to 8; of coloured 16 bits the upper 8 count. Both as Pillow has it.
std::uint8_t eight_bits(std::uint16_t value, bool grey) {
    if (!grey) return static_cast<std::uint8_t>(value >> 8);
    return static_cast<std::uint8_t>(std::nearbyint(static_cast<float>(value) * (255.0F / 65535.0F)));
}

template <typename Value>
Pixels converted(const cv::Mat& image, const ImageHeader& header) {
    const int channels = image.channels();
    const bool grey = channels == 1, wide = sizeof(Value) == 2;
    const bool has_alpha = channels == 4 || (grey && header.transparent_grey);
    Pixels pixels(image.cols, image.rows, has_alpha ? 4 : 3);
    for (int y = 0; y < image.rows; ++y) {
        const Value* from = image.ptr<Value>(y);
        std::uint8_t* to = pixels.at(0, y);
        for (int x = 0; x < image.cols; ++x, from += channels, to += pixels.channels) {
            for (int channel = 0; channel < 3; ++channel) {
                const Value value = from[grey ? 0 : 2 - channel];  // OpenCV's order is BGR
                to[channel] = wide ? eight_bits(value, grey) : static_cast<std::uint8_t>(value);
            }
            if (channels == 4) to[3] = wide ? eight_bits(from[3], false) : static_cast<std::uint8_t>(from[3]);
            if (grey && has_alpha) to[3] = from[0] == *header.transparent_grey ? 0 : 255;
        }
    }
    return pixels;
}

}  // namespace

std::optional<Pixels> decode_with_opencv(std::string_view content, const ImageHeader& header) {
    if (content.size() > std::size_t(std::numeric_limits<int>::max())) return std::nullopt;
    silence_opencv();
    const cv::Mat bytes(1, static_cast<int>(content.size()), CV_8UC1,
                        const_cast<char*>(content.data()));  // imdecode only reads
    cv::Mat image;
    try {
        // Unchanged keeps transparency; it does not turn the image, which is done after this.
        const bool keeps_alpha = header.format != ImageFormat::kJpeg;
        image =
            cv::imdecode(bytes, keeps_alpha ? cv::IMREAD_UNCHANGED : cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
    } catch (const cv::Exception&) {
        return std::nullopt;
    }
    if (image.empty() || image.cols != int(header.width) || image.rows != int(header.height)) return std::nullopt;
    const int channels = image.channels();
    if (channels != 1 && channels != 3 && channels != 4) return std::nullopt;
    if (image.depth() == CV_8U) return converted<std::uint8_t>(image, header);
    if (image.depth() == CV_16U) return converted<std::uint16_t>(image, header);
    return std::nullopt;
}

}  // namespace mghft
