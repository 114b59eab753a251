/* Classify stickers with a bundle of mghft-export: the C API, stable within a major version.
 *
 * Functions return MGHFT_OK, or else MGHFT_ERROR; mghft_last_error() then has a sentence. */
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

/* Fill it with mghft_default_options first. Later versions add fields at the end; mghft_default_options fills those. */
typedef struct mghft_options {
    size_t size;           /* size of this struct in the caller's build */
    const char* precision; /* "fp32", or another precision of the bundle */
    const char* provider;  /* "cpu", "openvino", "openvino-bf16", "cuda", "tensorrt" */
    const char* engine;    /* NULL, or a folder of native engines */
    int threads;           /* 0 for the provider's own choice */
    int overlap;           /* run text beside vision: -1 as fits the device, 0 no, 1 yes */
    size_t kept_texts;     /* number of texts to keep the features of from call to call */
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

/* The sentence of this thread's last failure; empty if there was none. Valid until the thread's next call. */
MGHFT_API const char* mghft_last_error(void);

/* size is sizeof *options; no more bytes are written. */
MGHFT_API void mghft_default_options(mghft_options* options, size_t size);

/* options may be NULL. Close the classifier with mghft_close. */
MGHFT_API int mghft_open(const char* bundle, const mghft_options* options, mghft_classifier** classifier);
MGHFT_API void mghft_close(mghft_classifier* classifier);

MGHFT_API size_t mghft_class_count(const mghft_classifier* classifier);
/* NULL if there is no class of this index; valid until the classifier is closed. */
MGHFT_API const char* mghft_class_name(const mghft_classifier* classifier, size_t index);
/* 0 for random weights: their predictions mean nothing. */
MGHFT_API int mghft_is_trained(const mghft_classifier* classifier);
/* Number of floats of the features of one sticker's text. */
MGHFT_API size_t mghft_feature_count(const mghft_classifier* classifier);

/* One file (PNG, JPEG, WebP, GIF, AVIF, BMP, PNM, TIFF; the middle frame of an animation) and its UTF-8 text; writes
   one probability per class. */
MGHFT_API int mghft_classify_file(mghft_classifier* classifier, const char* path, const char* text,
                                  float* probabilities);
/* Decoded images and a text for each; writes [count, classes]. */
MGHFT_API int mghft_classify(mghft_classifier* classifier, const mghft_image* images, const char* const* texts,
                             size_t count, float* probabilities);
/* The same with features [count, mghft_feature_count] instead of texts. */
MGHFT_API int mghft_classify_features(mghft_classifier* classifier, const mghft_image* images, const float* features,
                                      size_t count, float* probabilities);
/* Writes the texts' features, [count, mghft_feature_count]. */
MGHFT_API int mghft_encode_texts(mghft_classifier* classifier, const char* const* texts, size_t count, float* features);

#ifdef __cplusplus
}
#endif

#endif
