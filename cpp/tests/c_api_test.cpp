// The C API's promises that need no model.
#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "mghft/mghft.h"

TEST_CASE("options of an older program are filled as far as it knows them") {
    mghft_options options;
    std::memset(&options, 0x55, sizeof options);
    mghft_default_options(&options, offsetof(mghft_options, engine));
    CHECK(options.size == offsetof(mghft_options, engine));
    CHECK(std::string(options.precision) == "fp32");
    int untouched = 0;
    std::memset(&untouched, 0x55, sizeof untouched);
    CHECK(options.threads == untouched);
}

TEST_CASE("options without a size are refused") {
    mghft_options options = {};
    mghft_classifier* classifier = nullptr;
    CHECK(mghft_open("nothing", &options, &classifier) == MGHFT_ERROR);
    CHECK(std::string(mghft_last_error()).find("mghft_default_options") != std::string::npos);
    mghft_default_options(&options, sizeof options);
    CHECK(mghft_open("nothing", &options, &classifier) == MGHFT_ERROR);
    CHECK(std::string(mghft_last_error()).find("is not a bundle") != std::string::npos);
    CHECK(classifier == nullptr);
}

TEST_CASE("nothing comes of nothing") {
    CHECK(mghft_open(nullptr, nullptr, nullptr) == MGHFT_ERROR);
    CHECK(mghft_class_count(nullptr) == 0);
    CHECK(mghft_class_name(nullptr, 0) == nullptr);
    CHECK(mghft_classify(nullptr, nullptr, nullptr, 1, nullptr) == MGHFT_ERROR);
    mghft_close(nullptr);
    mghft_default_options(nullptr, 0);
}
