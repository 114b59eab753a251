/* Classify stickers with a bundle of mghft-export: the C API, stable within a major version.
 *
 * Functions return MGHFT_OK, or MGHFT_ERROR and leave a sentence in mghft_last_error(). */
#ifndef MGHFT_H
#define MGHFT_H

#include <stddef.h>
#include <stdint.h>

#include "mghft/export.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MGHFT_OK 0
#define MGHFT_ERROR 2

typedef struct mghft_classifier mghft_classifier; /* used by one thread at a time */

/* Fill it with mghft_default_options first. Later versions add fields at the end, which then get their defaults. */
typedef struct mghft_options {
    size_t size;           /* of this struct, as the caller was compiled */
    const char* precision; /* "fp32", or another one of the bundle's */
    const char* provider;  /* "cpu", "openvino", "openvino-bf16", "cuda", "tensorrt" */
    const char* engine;    /* NULL, or a folder of native engines */
    int threads;           /* 0 for the provider's own choice */
    int overlap;           /* text beside vision: -1 as fits the device, 0 no, 1 yes */
    size_t kept_texts;     /* texts whose features are kept from call to call */
} mghft_options;

/* Pixels that the caller owns, RGB or RGBA, 8 bits a channel, not premultiplied. */
typedef struct mghft_image {
    const uint8_t* pixels;
    int32_t width;
    int32_t height;
    int32_t channels;  /* 3 or 4 */
    int64_t row_bytes; /* from one row to the next */
} mghft_image;

MGHFT_API const char* mghft_version(void);

/* The sentence of this thread's last failure; empty if there was none. Valid until its next call. */
MGHFT_API const char* mghft_last_error(void);

/* size is sizeof *options; no more is written. */
MGHFT_API void mghft_default_options(mghft_options* options, size_t size);

/* options may be NULL. Close what was opened. */
MGHFT_API int mghft_open(const char* bundle, const mghft_options* options, mghft_classifier** classifier);
MGHFT_API void mghft_close(mghft_classifier* classifier);

MGHFT_API size_t mghft_class_count(const mghft_classifier* classifier);
/* NULL where there is no such class; valid until the classifier is closed. */
MGHFT_API const char* mghft_class_name(const mghft_classifier* classifier, size_t index);
/* 0 for random weights, whose predictions mean nothing. */
MGHFT_API int mghft_is_trained(const mghft_classifier* classifier);
/* Floats of the features of one sticker's text. */
MGHFT_API size_t mghft_feature_count(const mghft_classifier* classifier);

/* One file (PNG, JPEG, WebP, GIF, AVIF, BMP, PNM, TIFF; the middle frame of an animation) and its UTF-8 text; writes one
   probability a class. */
MGHFT_API int mghft_classify_file(mghft_classifier* classifier, const char* path, const char* text,
                                  float* probabilities);
/* Decoded images, a text for each; writes [count, classes]. */
MGHFT_API int mghft_classify(mghft_classifier* classifier, const mghft_image* images, const char* const* texts,
                             size_t count, float* probabilities);
/* The same with features, [count, mghft_feature_count]. */
MGHFT_API int mghft_classify_features(mghft_classifier* classifier, const mghft_image* images, const float* features,
                                      size_t count, float* probabilities);
/* Writes [count, mghft_feature_count]. */
MGHFT_API int mghft_encode_texts(mghft_classifier* classifier, const char* const* texts, size_t count, float* features);

#ifdef __cplusplus
}
#endif

#endif
