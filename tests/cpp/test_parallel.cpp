#include "common/parallel.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "expect.hpp"
#include "lee/processor.hpp"

namespace {

void every_task_runs_once_on_a_worker_of_its_own() {
    std::vector<int> done(1000);
    std::vector<std::atomic<int>> busy(4);
    lee::parallel_for(done.size(), 4, [&](std::size_t task, int worker) {
        EXPECT(worker >= 0 && worker < 4);
        EXPECT(busy[static_cast<std::size_t>(worker)]++ == 0);
        ++done[task];
        --busy[static_cast<std::size_t>(worker)];
    });
    for (const int count : done) EXPECT(count == 1);
}

void callers_in_several_threads_and_nested_calls_finish() {
    std::atomic<int> done{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&done] {
            for (int round = 0; round < 20; ++round) {
                lee::parallel_for(5, 3, [&done](std::size_t, int) {
                    lee::parallel_for(4, 2, [&done](std::size_t, int) { ++done; });
                });
            }
        });
    }
    for (auto& caller : callers) caller.join();
    EXPECT(done == 3 * 20 * 5 * 4);
}

void errors_reach_the_caller() {
    expect_error<std::runtime_error>("task 7", [] {
        lee::parallel_for(100, 3, [](std::size_t task, int) {
            if (task == 7) throw std::runtime_error("task 7");
        });
    });
    expect_error<std::invalid_argument>("parallel_for: threads is -2; give 0 for all cores, or a count",
                                        [] { lee::parallel_for(1, -2, [](std::size_t, int) {}); });
}

void counts_are_bounded() {
    EXPECT(lee::available_cores() >= 1);
    EXPECT(lee::worker_count(0, 3) == 1);
    EXPECT(lee::worker_count(2, 3) == 2);
    EXPECT(lee::worker_count(100, 0) == std::min(100, lee::available_cores()));
    lee::parallel_for(0, 0, [](std::size_t, int) { EXPECT(false); });
}

}  // namespace

int main() {
    every_task_runs_once_on_a_worker_of_its_own();
    callers_in_several_threads_and_nested_calls_finish();
    errors_reach_the_caller();
    counts_are_bounded();
}
