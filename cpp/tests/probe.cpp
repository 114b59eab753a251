// Shows the tests in tests/cpp what the library computes inside.
//
//     mghft-probe tokens TOKENIZER MAX_LENGTH    texts as JSON strings, one a line -> a line of ids each
//     mghft-probe views                          texts as JSON strings, one a line -> a JSON list of four each
//     mghft-probe pixels BUNDLE IMAGE...         -> float32 [3, H, W] of each, one after the other; broken ones are
//     named
//     mghft-probe decode FRAME IMAGE...          -> [width, height] of each as a line of JSON, then RGB on white; or a line with
//     the error
//     mghft-probe features NPZ BRANCH WIDTH      -> names as JSON, then float32 values
//     mghft-probe hash FILE                      -> its SHA-256, hashed or remembered
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "bundle.hpp"
#include "decode.hpp"
#include "files.hpp"
#include "preprocess.hpp"
#include "text_features.hpp"
#include "tokenizer.hpp"
#include "verified_files.hpp"
#include "views.hpp"

namespace {

using namespace mghft;

void tokens(const std::string& path, std::size_t most) {
    Tokenizer tokenizer(read_file(path), path);
    std::vector<std::int64_t> ids;
    for (std::string line; std::getline(std::cin, line);) {
        tokenizer.encode(nlohmann::json::parse(line).get<std::string>(), most, ids);
        for (const std::int64_t id : ids) std::cout << id << ' ';
        std::cout << '\n';
    }
}

void views() {
    for (std::string line; std::getline(std::cin, line);) {
        const std::string text = nlohmann::json::parse(line).get<std::string>();
        const Views found = split_views(text);
        std::cout << nlohmann::json(std::vector<std::string>(found.begin(), found.end())).dump() << '\n';
    }
}

void write(const std::vector<float>& values) {
    std::cout.write(reinterpret_cast<const char*>(values.data()), std::streamsize(values.size() * sizeof(float)));
}

void pixels(const std::string& path, int count, char** images) {
    const Bundle bundle = load_bundle(path);
    const ImageEntry& entry = bundle.manifest.image;
    Preprocessor preprocessor(entry);
    std::vector<float> values(3 * std::size_t(entry.height) * std::size_t(entry.width));
    for (int number = 0; number < count; ++number) {
        try {
            const Pixels image = open_image(images[number]);
            preprocessor.write({image.values.data(), image.width, image.height, image.channels,
                                std::ptrdiff_t{image.width} * image.channels},
                               ElementType::kFloat32, values.data());
            write(values);
        } catch (const Error& error) {
            std::cerr << error.what() << '\n';
        }
    }
}

void decode(const std::string& frame, int count, char** images) {
    for (int number = 0; number < count; ++number) {
        try {
            const Pixels image = open_image(images[number], frame);
            std::string rgb;
            for (std::size_t place = 0; place < image.values.size(); place += std::size_t(image.channels)) {
                const std::uint8_t* pixel = image.values.data() + place;
                const std::uint8_t alpha = image.channels == 4 ? pixel[3] : 255;
                for (int channel = 0; channel < 3; ++channel) rgb += char(over(pixel[channel], alpha, 255));
            }
            std::cout << nlohmann::json{image.width, image.height}.dump() << '\n' << rgb;
        } catch (const Error& error) {
            // The name of a file may be any bytes.
            std::cout << nlohmann::json(error.what()).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
        }
    }
}

void features(const std::string& path, const std::string& branch, std::size_t width) {
    const TextFeatures found = load_text_features(path, branch, width);
    std::cout << nlohmann::json(found.names).dump() << '\n';
    write(found.values);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    try {
        if (what == "tokens" && argc == 4) {
            tokens(argv[2], std::stoul(argv[3]));
        } else if (what == "views") {
            views();
        } else if (what == "pixels" && argc > 3) {
            pixels(argv[2], argc - 3, argv + 3);
        } else if (what == "decode" && argc > 3) {
            decode(argv[2], argc - 3, argv + 3);
        } else if (what == "features" && argc == 5) {
            features(argv[2], argv[3], std::stoul(argv[4]));
        } else if (what == "hash" && argc == 3) {
            std::cout << verified_sha256(argv[2], MappedFile(argv[2])) << '\n';
        } else {
            return 2;
        }
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    return 0;
}
