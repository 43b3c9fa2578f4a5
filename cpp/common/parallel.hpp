#pragma once

#include <cstddef>
#include <functional>

namespace lee {

/// How many workers `parallel_for` will use: `threads` (0 = all available cores), but no more than tasks, at
/// least 1.
///
/// throws  std::invalid_argument where threads is negative
int worker_count(std::size_t tasks, int threads);

/// Call task(index, worker) for every index in [0, tasks); worker in [0, worker_count(tasks, threads)).
///
/// A worker runs one task at a time, so scratch memory can be kept one a worker. Tasks are handed out in
/// order; what a task writes must not depend on its worker. The first exception stops the handing out and is
/// thrown here.
void parallel_for(std::size_t tasks, int threads, const std::function<void(std::size_t, int)>& task);

}  // namespace lee
