// A thread that does one job at a time, so that two branches can run at the same time.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace mghft {

class Worker {
  public:
    using Job = void (*)(void*);

    // The job runs once for each start.
    Worker(Job job, void* argument) : job_(job), argument_(argument), thread_([this] { serve(); }) {}

    ~Worker() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            ends_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    void start() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            busy_ = true;
        }
        changed_.notify_all();
    }

    // Throws what the job threw.
    void finish() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !busy_; });
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }

  private:
    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return busy_ || ends_; });
            if (ends_) return;
            lock.unlock();
            std::exception_ptr failure;
            try {
                job_(argument_);
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            failure_ = failure;
            busy_ = false;
            changed_.notify_all();
        }
    }

    Job job_;
    void* argument_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::exception_ptr failure_;
    bool busy_ = false, ends_ = false;
    std::thread thread_;  // declared last, because it uses the other members
};

}  // namespace mghft
