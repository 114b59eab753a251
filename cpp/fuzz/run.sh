#!/usr/bin/env bash
# Runs each fuzzer for some seconds from its seeds. What it finds stays in the build folder; inputs that crash are to be
# added to seeds/ with the fix.
#
#   cpp/fuzz/run.sh BUILD_FOLDER SECONDS
set -euo pipefail
build=$1 seconds=$2
seeds=$(dirname "$0")/seeds
for target in image manifest tokenizer text features; do
  mkdir -p "$build/corpus/$target" "$build/found/$target"
  # libpng, libjpeg, libwebp, libavif and libtiff are not built with the sanitizers: their leaks are looked for, their branches are not seen.
  "$build/cpp/fuzz/mghft-fuzz-$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -print_final_stats=1 \
    -artifact_prefix="$build/found/$target/" "$build/corpus/$target" "$seeds/$target" 2>&1 | tail -n 12
done
