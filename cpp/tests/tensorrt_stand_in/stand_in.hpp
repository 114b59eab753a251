// What the tests ask the stand-ins for CUDA and TensorRT.
#pragma once

#include <string>

namespace stand_in {

// Counted since the start.
struct Counts {
    int contexts = 0, plain_runs = 0, captured = 0, launches = 0;
};

extern Counts counts;
extern bool capture_fails;   // no stream can be captured
extern bool memory_is_full;  // every allocation fails
extern bool run_fails;       // TensorRT takes no run, and says why
extern bool outputs_are_odd; // outputs have more dimensions than any of ours

}  // namespace stand_in
