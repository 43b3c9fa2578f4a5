// Blocks of threads as fibers.
#include <ucontext.h>

#include <algorithm>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda_runtime.h"
#include "emulated.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace {

constexpr std::size_t stack_bytes = 64U << 10;
constexpr unsigned most_threads = 1024, warp_threads = 32;
constexpr std::size_t max_shared_bytes = 64U << 10;  // what every device of compute capability 7.5 offers

enum class Waits { nothing, warp, block, done };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<unsigned char[]> stack = std::make_unique<unsigned char[]>(stack_bytes);
    Waits waits = Waits::done;
    int barrier = 0;        // the line it waits at
    unsigned char slot[8];  // what its warp can read
};

struct Block {
    std::vector<Fiber> fibers{most_threads};
    ucontext_t scheduler;
    const std::function<void()>* thread = nullptr;
    unsigned running = 0;
    int votes = 0, next_votes = 0;
    std::vector<float4> shared = std::vector<float4>(max_shared_bytes / sizeof(float4));
};

Block& block() {
    static Block one;
    return one;
}

void enter() {
    Block& b = block();
    (*b.thread)();
    b.fibers[b.running].waits = Waits::done;
    swapcontext(&b.fibers[b.running].context, &b.scheduler);
}

int wait(Waits what, int line, int vote) {
    Block& b = block();
    b.fibers[b.running].waits = what;
    b.fibers[b.running].barrier = line;
    b.next_votes += vote;
    swapcontext(&b.fibers[b.running].context, &b.scheduler);
    return b.votes;
}

// Resumes fibers [from, to) where all that still run have reached one barrier.
bool release(Waits kind, unsigned from, unsigned to) {
    Block& b = block();
    int barrier = 0;
    for (unsigned t = from; t < to; ++t) {
        const Fiber& fiber = b.fibers[t];
        if (fiber.waits == Waits::done) continue;
        if (fiber.waits != kind) return false;
        if (barrier != 0 && barrier != fiber.barrier) {
            std::fputs("cuda_on_host: threads wait at different barriers\n", stderr);
            std::abort();
        }
        barrier = fiber.barrier;
    }
    if (barrier == 0) return false;
    for (unsigned t = from; t < to; ++t) {
        if (b.fibers[t].waits == kind) b.fibers[t].waits = Waits::nothing;
    }
    return true;
}

// Runs every fiber that waits for nothing up to its next barrier.
bool run_all(unsigned threads, bool forward) {
    Block& b = block();
    bool any = false;
    for (unsigned k = 0; k < threads; ++k) {
        const unsigned t = forward ? k : threads - 1 - k;
        if (b.fibers[t].waits != Waits::nothing) continue;
        any = true;
        b.running = t;
        threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
        swapcontext(&b.scheduler, &b.fibers[t].context);
    }
    return any;
}

void run_block(unsigned threads) {
    Block& b = block();
    for (unsigned t = 0; t < threads; ++t) {
        Fiber& fiber = b.fibers[t];
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = stack_bytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, enter, 0);
        fiber.waits = Waits::nothing;
    }
    b.next_votes = 0;
    // First in one order, then in the other, so that a missing barrier shows in the result.
    for (bool forward = true; run_all(threads, forward); forward = !forward) {
        for (unsigned t = 0; t < threads; t += warp_threads)
            release(Waits::warp, t, std::min(t + warp_threads, threads));
        if (release(Waits::block, 0, threads)) {
            b.votes = b.next_votes;
            b.next_votes = 0;
        }
    }
    for (unsigned t = 0; t < threads; ++t) {
        if (b.fibers[t].waits == Waits::done) continue;
        std::fputs("cuda_on_host: threads wait for others that never reach the barrier\n", stderr);
        std::abort();
    }
}

}  // namespace

void __syncthreads(int line) {
    (void)wait(Waits::block, line, 0);
}
int __syncthreads_or(int predicate, int line) {
    return wait(Waits::block, line, predicate != 0) != 0;
}
int __syncthreads_count(int predicate, int line) {
    return wait(Waits::block, line, predicate != 0);
}

void __syncwarp(unsigned, int line) {
    (void)wait(Waits::warp, line, 0);
}

namespace emulated {

void show(const void* value, std::size_t bytes) {
    Block& b = block();
    __builtin_memcpy(b.fibers[b.running].slot, value, bytes);
    (void)wait(Waits::warp, -1, 0);
}

void see(unsigned lane, void* value, std::size_t bytes) {
    Block& b = block();
    const unsigned first = b.running / warp_threads * warp_threads;
    __builtin_memcpy(value, b.fibers[first + lane % warp_threads].slot, bytes);
    (void)wait(Waits::warp, -1, 0);
}

unsigned lane() {
    return block().running % warp_threads;
}

}  // namespace emulated

void* emulated_dynamic_shared() {
    return block().shared.data();
}

namespace emulated {

cudaError_t launch(const cudaLaunchConfig_t& config, std::function<void()> thread) {
    const dim3 g = config.gridDim, t = config.blockDim;
    const unsigned threads = t.x * t.y * t.z;
    if (threads == 0 || threads > most_threads || t.z > 64 || g.x == 0 || g.y == 0 || g.z == 0 ||
        g.y > 65535 || g.z > 65535 || config.dynamicSmemBytes > max_shared_bytes) {
        return cudaErrorInvalidValue;
    }
    put(config.stream, [g, t, threads, thread = std::move(thread)] {
        Block& b = block();
        b.thread = &thread;
        gridDim = g, blockDim = t;
        for (unsigned z = 0; z < g.z; ++z) {
            for (unsigned y = 0; y < g.y; ++y) {
                for (unsigned x = 0; x < g.x; ++x) {
                    blockIdx = {x, y, z};
                    // Shared memory begins with arbitrary values.
                    __builtin_memset(b.shared.data(), 0xff, max_shared_bytes);
                    run_block(threads);
                }
            }
        }
    });
    return cudaSuccess;
}

}  // namespace emulated
