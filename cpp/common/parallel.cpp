#include "common/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "common/check.hpp"
#include "lee/processor.hpp"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace lee {
namespace {

long process_id() {
#if defined(__unix__) || defined(__APPLE__)
    return static_cast<long>(getpid());
#else
    return 0;
#endif
}

struct Job {
    std::size_t tasks;
    const std::function<void(std::size_t, int)>& task;
    std::atomic<std::size_t> next{0};
    std::atomic<int> next_worker{1};
    int helping = 0;  // guarded by the pool's mutex
    std::exception_ptr failure = nullptr;
    std::mutex failure_mutex{};

    void run(int worker) {
        for (std::size_t index = next++; index < tasks; index = next++) {
            try {
                task(index, worker);
            } catch (...) {
                const std::lock_guard lock(failure_mutex);
                if (!failure) failure = std::current_exception();
                next = tasks;
            }
        }
    }
};

// Threads that wait for work: a camera delivers hundreds of frames a second, too many to start threads for
// each.
class Pool {
  public:
    // The pool is leaked: its detached threads may outlive every static object. After a fork the child has
    // none of the parent's threads, so it starts a pool of its own.
    static Pool& instance() {
        static std::mutex mutex;
        static Pool* pool = nullptr;
        const std::lock_guard lock(mutex);
        if (pool == nullptr || pool->owner_ != process_id()) pool = new Pool;
        return *pool;
    }

    void run(Job& job, int workers) {
        {
            const std::lock_guard lock(mutex_);
            for (; threads_ < workers - 1; ++threads_) std::thread([this] { serve(); }).detach();
            for (int helper = 1; helper < workers; ++helper) queue_.push_back(&job);
        }
        wake_.notify_all();
        job.run(0);
        std::unique_lock lock(mutex_);
        std::erase(queue_, &job);
        done_.wait(lock, [&] { return job.helping == 0; });
    }

  private:
    void serve() {
        std::unique_lock lock(mutex_);
        while (true) {
            wake_.wait(lock, [this] { return !queue_.empty(); });
            Job& job = *queue_.front();
            queue_.pop_front();
            ++job.helping;
            lock.unlock();
            job.run(job.next_worker++);
            lock.lock();
            --job.helping;
            done_.notify_all();
        }
    }

    const long owner_ = process_id();
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::deque<Job*> queue_;
    int threads_ = 0;
};

}  // namespace

int available_cores() noexcept {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int worker_count(std::size_t tasks, int threads) {
    check::threads("parallel_for", threads);
    const int wanted = threads == 0 ? available_cores() : threads;
    return static_cast<int>(std::clamp<std::size_t>(tasks, 1, static_cast<std::size_t>(wanted)));
}

void parallel_for(std::size_t tasks, int threads, const std::function<void(std::size_t, int)>& task) {
    const int workers = worker_count(tasks, threads);
    Job job{.tasks = tasks, .task = task};
    if (workers == 1) {
        job.run(0);
    } else {
        Pool::instance().run(job, workers);
    }
    if (job.failure) std::rethrow_exception(job.failure);
}

}  // namespace lee
