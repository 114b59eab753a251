// operator new that counts. In a file of its own, so that no compiler sees through it.
#pragma once

#include <atomic>

extern std::atomic<long> allocations;
extern std::atomic<bool> counting;
