// operator new that counts. In a file of its own, so that no compiler sees through it.
#pragma once

#include <atomic>

extern std::atomic<long> allocations;
extern thread_local bool counting;  // ONNX Runtime has threads of its own, which allocate when they like
