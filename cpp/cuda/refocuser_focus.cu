// From the details of three groups to focus and its maxima: a block processes a strip of columns, row by row.
#include <algorithm>
#include <cmath>

#include "common/floats.hpp"
#include "cuda/refocuser_state.cuh"
#include "cuda/select.cuh"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr int entries = 3;        // of the tensor
constexpr int rows_a_block = 32;  // even, so that pairs of rows do not part

struct Margin {
    int y, x;
};

/// Details of a group and those around it, coded.
struct Details {
    const std::uint16_t *past, *now, *next;
};

__device__ inline std::size_t at_of(int y, int x, int columns) {
    return static_cast<std::size_t>(y) * static_cast<std::size_t>(columns) + static_cast<std::size_t>(x);
}

/// Where the middle group is a maximum above the second peak so far, fit it and keep it.
__device__ void look_for_maximum(const DeviceSearch& search, std::size_t at, std::uint16_t newest) {
    const DevicePeaks& peaks = search.peaks;
    const std::uint16_t a = search.ring[0][at], b = search.ring[1][at], c = search.ring[2][at],
                        d = search.ring[3][at];
    if (!focus::is_maximum(a, b, c, d, newest, peaks.peak[1][at])) return;
    const focus::Fit fit = focus::fit_peak(focus::decode(a), focus::decode(b), focus::decode(c),
                                           focus::decode(d), focus::decode(newest), search.u_um);
    const int place = c > peaks.peak[0][at] ? 0 : 1;
    const bool with_counts = peaks.counts[0] != nullptr;
    if (place == 0) {
        peaks.z_um[1][at] = peaks.z_um[0][at];
        peaks.peak[1][at] = peaks.peak[0][at];
        peaks.width[1][at] = peaks.width[0][at];
        if (with_counts) peaks.counts[1][at] = peaks.counts[0][at];
    }
    peaks.z_um[place][at] = search.z_um + fit.offset_um;
    peaks.peak[place][at] = c;
    peaks.width[place][at] = focus::encode(fit.curvature_per_um2);
    if (with_counts) peaks.counts[place][at] = search.mean(at);
}

/// Shared memory of a block, in floats.
struct Layout {
    int threads;
    Margin margin;

    [[nodiscard]] __host__ __device__ int wide() const {
        return threads + 2 * margin.x;
    }  // columns of tensor
    [[nodiscard]] __host__ __device__ int wider() const { return wide() + 2; }  // of detail
    [[nodiscard]] __host__ __device__ int taps_y() const { return 2 * margin.y + 1; }
    [[nodiscard]] __host__ __device__ int tensor() const { return entries * wide(); }
    [[nodiscard]] __host__ __device__ int sums() const { return taps_y() * entries * threads; }
    [[nodiscard]] __host__ __device__ int details() const { return 2 * 3 * wider(); }
};

/// Three rows of detail and of what surrounds it in z, of which each new one takes the place of the oldest.
struct Rows {
    float *now, *around;
    int above, row, below;  // where they begin
};

__device__ inline float across(const float* rows, const Rows& at, int i) {
    return focus::slope(rows[at.above + i], rows[at.row + i], rows[at.below + i], rows[at.above + i + 2],
                        rows[at.row + i + 2], rows[at.below + i + 2]);
}

__device__ inline float down(const float* rows, const Rows& at, int i) {
    return focus::slope(rows[at.above + i], rows[at.above + i + 1], rows[at.above + i + 2],
                        rows[at.below + i], rows[at.below + i + 1], rows[at.below + i + 2]);
}

/// Row y of the details, to `into`; zero outside the image.
__device__ void load_details(const Details& details, const Layout& layout, DeviceExtent image, int y,
                             int left, const Rows& rows, int into) {
    for (int c = static_cast<int>(threadIdx.x); c < layout.wider(); c += layout.threads) {
        const int x = left - layout.margin.x - 1 + c;
        float here = 0.0F, mean = 0.0F;
        if (y >= 0 && y < image.rows && x >= 0 && x < image.columns) {
            const std::size_t at = at_of(y, x, image.columns);
            here = focus::decode(details.now[at]);
            mean = 0.5F * (focus::decode(details.past[at]) + focus::decode(details.next[at]));
        }
        rows.now[into + c] = here;
        rows.around[into + c] = mean;
    }
}

/// Row y of the tensor of the detail's gradient; zero outside the image.
__device__ void find_tensor(const Layout& layout, DeviceExtent image, int y, int left, const Rows& rows,
                            float* tensor) {
    const int wide = layout.wide();
    for (int c = static_cast<int>(threadIdx.x); c < wide; c += layout.threads) {
        const int x = left - layout.margin.x + c;
        float xx = 0.0F, yy = 0.0F, xy = 0.0F;
        if (y >= 0 && y < image.rows && x >= 0 && x < image.columns) {
            const float ax = across(rows.now, rows, c), ay = down(rows.now, rows, c);
            const float bx = across(rows.around, rows, c), by = down(rows.around, rows, c);
            xx = ax * bx, yy = ay * by, xy = focus::mixed(ax, ay, bx, by);
        }
        tensor[c] = xx;
        tensor[wide + c] = yy;
        tensor[2 * wide + c] = xy;
    }
}

/// Row y of a coarser level's tensor; zero outside the image.
__device__ void load_tensor(const float* energy, const Layout& layout, DeviceExtent image, int y, int left,
                            float* tensor) {
    const int wide = layout.wide();
    const std::size_t plane = static_cast<std::size_t>(image.rows) * static_cast<std::size_t>(image.columns);
    for (int c = static_cast<int>(threadIdx.x); c < wide; c += layout.threads) {
        const int x = left - layout.margin.x + c;
        const bool inside = y >= 0 && y < image.rows && x >= 0 && x < image.columns;
        for (int e = 0; e < entries; ++e) {
            tensor[e * wide + c] =
                inside ? energy[static_cast<std::size_t>(e) * plane + at_of(y, x, image.columns)] : 0.0F;
        }
    }
}

/// The next coarser level's tensor: null where there is none.
struct Coarser {
    float* energy;
    DeviceExtent image;
};

/// Focus of one group at one level: from `details` at the finest, from `energy` at others; ring: its
/// destination. taps: of the window along both axes where both are the same and known to the compiler, else
/// 0.
template <bool finest, int taps>
__global__ void take_focus(Details details, const float* energy, DeviceExtent image, Margin margin,
                           float scale, Coarser coarser, std::uint16_t* ring, DeviceSearch search) {
    const int t = static_cast<int>(threadIdx.x);
    const Layout layout{static_cast<int>(blockDim.x), margin};
    const int threads = layout.threads, wide = layout.wide(), wider = layout.wider();
    const int taps_x = taps > 0 ? taps : 2 * margin.x + 1, taps_y = taps > 0 ? taps : layout.taps_y();
    float* tensor = cuda::dynamic_shared<float>();
    float* sums = tensor + layout.tensor();  // along the last taps_y rows; a thread uses its own column only
    Rows rows{sums + layout.sums(), sums + layout.sums() + layout.details() / 2, 0, wider, 2 * wider};
    const int left = static_cast<int>(blockIdx.x) * threads,
              top = static_cast<int>(blockIdx.y) * rows_a_block;
    const int x = left + t, bottom = min(top + rows_a_block, image.rows), first = top - margin.y;
    float upper[entries] = {};
    if (finest) {
        load_details(details, layout, image, first - 1, left, rows, rows.above);
        load_details(details, layout, image, first, left, rows, rows.row);
    }
    for (int r = first; r < bottom + margin.y; ++r) {
        if (finest) load_details(details, layout, image, r + 1, left, rows, rows.below);
        __syncthreads();
        if (finest) {
            find_tensor(layout, image, r, left, rows, tensor);
            rows = {rows.now, rows.around, rows.row, rows.below, rows.above};
        } else {
            load_tensor(energy, layout, image, r, left, tensor);
        }
        __syncthreads();
        for (int e = 0; e < entries; ++e) {
            const float* entry = tensor + e * wide + t;
            float sum = entry[0];
            for (int tap = 1; tap < taps_x; ++tap) sum += entry[tap];
            sums[((r - first) % taps_y * entries + e) * threads + t] = sum;
        }
        // Means of two by two pixels: the upper pair waits for the lower.
        if (coarser.energy != nullptr && r >= top && r < bottom && 2 * t < threads) {
            const bool inside = r / 2 < coarser.image.rows && left / 2 + t < coarser.image.columns;
            const std::size_t plane = static_cast<std::size_t>(coarser.image.rows) *
                                      static_cast<std::size_t>(coarser.image.columns);
            for (int e = 0; e < entries; ++e) {
                const float* pair = tensor + e * wide + margin.x + 2 * t;
                if (r % 2 == 0) {
                    upper[e] = pair[0] + pair[1];
                } else if (inside) {
                    coarser.energy[static_cast<std::size_t>(e) * plane +
                                   at_of(r / 2, left / 2 + t, coarser.image.columns)] =
                        0.25F * (upper[e] + pair[0] + pair[1]);
                }
            }
        }
        const int y = r - margin.y;
        if (y < top || x >= image.columns) continue;
        float of[entries];
        for (int e = 0; e < entries; ++e) {
            // The oldest row is the one that the next will replace.
            int slot = (r - first + 1) % taps_y;
            float sum = sums[(slot * entries + e) * threads + t];
            for (int tap = 1; tap < taps_y; ++tap) {
                slot = slot + 1 == taps_y ? 0 : slot + 1;
                sum += sums[(slot * entries + e) * threads + t];
            }
            of[e] = sum;
        }
        const std::uint16_t code = focus::encode(scale * focus::tensor_focus(of[0], of[1], of[2]));
        const std::size_t at = at_of(y, x, image.columns);
        ring[at] = code;
        if (search.wanted) look_for_maximum(search, at, code);
    }
}

/// Focus of the cells, from the level's tensor before it is pooled.
__global__ void take_cells(const float* energy, std::size_t cells, std::uint16_t* codes) {
    const std::size_t at = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at >= cells) return;
    codes[at] = focus::encode(focus::tensor_focus(energy[at], energy[cells + at], energy[2 * cells + at]));
}

/// After the last group a group without focus takes the place of the next.
__global__ void look_once_more(DeviceSearch search, std::size_t pixels) {
    const std::size_t at = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (at < pixels) look_for_maximum(search, at, 0);
}

/// Variance of the detail that three groups in a row do not share along a straight line, one block a tile.
__global__ void find_tile_noise(Details details, DeviceExtent image, Margin margin, bool one_sided,
                                bool alone, double* noise) {
    __shared__ double part[256];
    const int tile_rows = static_cast<int>(focus::tile_rows),
              tile_columns = static_cast<int>(focus::tile_columns),
              step = static_cast<int>(focus::noise_rows);
    const int top = static_cast<int>(blockIdx.y) * tile_rows,
              left = static_cast<int>(blockIdx.x) * tile_columns;
    const int rows = min(tile_rows, image.rows - top), columns = min(tile_columns, image.columns - left);
    const int from = max(left - margin.x, 0), to = min(left + columns + margin.x, image.columns);
    // Such rows that the tile itself holds one, however few it has.
    const int first = (margin.y + min(step, rows) / 2) % step;
    double own = 0.0;
    int seen = 0;
    for (int r = first; r < rows + 2 * margin.y; r += step) {
        const int y = top + r - margin.y;
        if (y < 0 || y >= image.rows) continue;
        ++seen;
        for (int x = from + static_cast<int>(threadIdx.x); x < to; x += static_cast<int>(blockDim.x)) {
            const std::size_t at = at_of(y, x, image.columns);
            const float bend = focus::bend_of(details.past[at], details.now[at], details.next[at], alone);
            own += static_cast<double>(bend * bend);
        }
    }
    part[threadIdx.x] = own;
    __syncthreads();
    for (unsigned half = 128; half > 0; half /= 2) {
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x > 0) return;
    const double variance =
        part[0] / static_cast<double>(seen * (to - from)) / focus::bend_noise(one_sided, alone);
    double& minimum = noise[blockIdx.y * gridDim.x + blockIdx.x];
    if (variance < minimum) minimum = variance;
}

/// The tiles' noise as keys in order.
struct TileNoise {
    const double* values;
    __device__ bool operator()(std::uint32_t i, std::uint64_t& key) const {
        const double value = values[i];
        key = __builtin_bit_cast(std::uint64_t, value);  // never negative
        return finite(value);
    }
};

__global__ void find_median_noise(const double* values, std::uint32_t tiles, float* noise) {
    const TileNoise sample{values};
    const std::uint32_t count = cuda::count_samples<std::uint64_t>(tiles, sample);
    if (count == 0) {
        if (threadIdx.x == 0) *noise = __builtin_nanf("");
        return;
    }
    const std::uint64_t key = cuda::select_key<std::uint64_t>(tiles, count / 2, sample);
    if (threadIdx.x == 0) *noise = static_cast<float>(focus::slope_noise * __builtin_bit_cast(double, key));
}

/// Fewer where the sums along many rows would not fit.
int threads_for(const Margin& margin) {
    return margin.y <= 7 ? 128 : 64;
}

}  // namespace

void DeviceRefocuser::State::take_energy(std::size_t newest) {
    if (newest == 0) return;
    const std::size_t group = newest - 1;
    const bool before = groups.near_before(group), after = groups.near_after(group);
    const std::uint16_t* now = detail[group % ScanGroups::details].get();
    const std::uint16_t* next_detail = detail[(group + 1) % ScanGroups::details].get();
    const std::uint16_t* past = before ? detail[(group + ScanGroups::details - 1) % ScanGroups::details].get()
                                : after ? next_detail
                                        : now;
    const Details details{past, now, after ? next_detail : past};
    const Margin margin{static_cast<int>(params.window_y_px / 2), static_cast<int>(params.window_x_px / 2)};
    cuda::launch(name, find_tile_noise,
                 {.grid = dim3(static_cast<unsigned>(tiles.columns), static_cast<unsigned>(tiles.rows)),
                  .block = dim3(256),
                  .stream = stream},
                 details, extent, Margin{margin.y + 1, margin.x + 1}, before != after, !before && !after,
                 tile_noise.get());
    const float scale = 1.0F / static_cast<float>(params.window_y_px * params.window_x_px);
    const Layout layout{threads_for(margin), margin};
    for (std::size_t k = 0; k < levels.size(); ++k) {
        const DeviceLevel& level = levels[k];
        Coarser coarser{nullptr, {0, 0}};
        if (k + 1 < levels.size()) coarser = {levels[k + 1].energy.get(), levels[k + 1].extent};
        const int floats = layout.tensor() + layout.sums() + (k == 0 ? layout.details() : 0);
        const cuda::Launch how{
            .grid = dim3(cuda::blocks(static_cast<std::size_t>(level.extent.columns),
                                      static_cast<std::size_t>(layout.threads)),
                         cuda::blocks(static_cast<std::size_t>(level.extent.rows), rows_a_block)),
            .block = dim3(static_cast<unsigned>(layout.threads)),
            .shared_bytes = sizeof(float) * static_cast<std::size_t>(floats),
            .stream = stream};
        const bool usual = margin.y == 2 && margin.x == 2;
        auto* kernel = k == 0 ? (usual ? take_focus<true, 5> : take_focus<true, 0>)
                              : (usual ? take_focus<false, 5> : take_focus<false, 0>);
        cuda::launch(name, kernel, how, details, level.energy.get(), level.extent, margin, scale, coarser,
                     level.ring[group % ScanGroups::ring].get(), search_of(level, group));
    }
    if (record.keeps(group)) record_focus(group);
}

void DeviceRefocuser::State::record_focus(std::size_t group) {
    const std::size_t n = saturated.size();
    if (n == 0) return;
    cuda::launch(name, take_cells, {.grid = dim3(cuda::blocks(n, 256)), .block = dim3(256), .stream = stream},
                 levels[focus::cell_level].energy.get(), n, record.row(group).focus.get());
}

DeviceSearch DeviceRefocuser::State::search_of(const DeviceLevel& level, std::size_t newest) const {
    DeviceSearch search{};
    // The first group has nothing before it, so it is no maximum.
    if (newest < 3) return search;
    const std::size_t middle = newest - 2;
    const auto u = groups.heights_around(middle);
    std::copy(u.begin(), u.end(), search.u_um);
    for (std::size_t k = 0; k < 4; ++k)
        search.ring[k] = level.ring[(newest + 1 + k) % ScanGroups::ring].get();
    search.z_um = static_cast<float>(groups.z_um(middle));
    search.mean = mean_of(middle);
    search.peaks = level.peaks();
    search.wanted = true;
    return search;
}

void DeviceRefocuser::State::flush() {
    const std::size_t newest = groups.count();
    if (newest < 3) return;
    groups.continue_heights();
    for (const DeviceLevel& level : levels) {
        cuda::launch(name, look_once_more,
                     {.grid = dim3(cuda::blocks(level.pixels(), 256)), .block = dim3(256), .stream = stream},
                     search_of(level, newest), level.pixels());
    }
}

void DeviceRefocuser::State::find_noise(float* noise) const {
    cuda::launch(name, find_median_noise, {.grid = dim3(1), .block = dim3(256), .stream = stream},
                 tile_noise.get(), static_cast<std::uint32_t>(tile_noise.size()), noise);
}

}  // namespace lee
