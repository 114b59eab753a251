/* The symbols that the shared library exports. */
#ifndef MGHFT_EXPORT_H
#define MGHFT_EXPORT_H

#if defined(MGHFT_STATIC) || defined(_WIN32)
#define MGHFT_API
#else
#define MGHFT_API __attribute__((visibility("default")))
#endif

#endif
