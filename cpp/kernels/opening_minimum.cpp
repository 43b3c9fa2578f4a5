#include "kernels/opening_minimum.hpp"

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "common/aligned.hpp"
#include "common/parallel.hpp"
#include "kernels/simd/opening.hpp"

namespace lee {
namespace {

// Input rows handled together: an accumulator is then loaded and stored once for four of them.
constexpr std::size_t batch = 4;
// Keys in the longest vector; rows are whole multiples of it.
constexpr std::size_t lanes = vector_bytes / sizeof(std::int32_t);
// Columns of a strip: wide enough to share the work on its margins, narrow enough for the caches.
constexpr std::size_t narrowest = 128;
// Rows from which on a rectangle is faster by doubling than row by row (measured).
constexpr std::size_t tall = 48;

std::size_t round_up(std::size_t value, std::size_t step) {
    return (value + step - 1) / step * step;
}

// A strip of columns runs down the image. Of every input row the minima over 1, 2, 4, ... pixels are formed;
// two of those give the minimum over a run of any length, and so over each distinct row of the footprint.
// These lower the accumulators of all output rows they belong to. Everything one batch touches stays in the
// innermost caches.
class Strip {
  public:
    Strip(const FootprintRuns& footprint, std::size_t height, std::size_t width, std::size_t columns)
        : footprint_(footprint),
          height_(static_cast<std::ptrdiff_t>(height)),
          width_(static_cast<std::ptrdiff_t>(width)),
          columns_(columns),
          reach_(static_cast<std::size_t>(footprint.dx_max - footprint.dx_min)),
          line_(round_up(columns + reach_, lanes)),
          ring_rows_(footprint.row_of.size() + batch - 1) {
        std::ptrdiff_t longest = 1;
        for (const auto& row : footprint.rows) {
            for (const Run& run : row) longest = std::max(longest, run.length);
        }
        levels_count_ = static_cast<std::size_t>(std::bit_width(static_cast<std::size_t>(longest)));
        // Reads go up to the longest step beyond the line; values there are never used.
        stride_ = batch * line_ + round_up(std::bit_floor(static_cast<std::size_t>(longest)), lanes);
        levels_ = aligned_array<std::int32_t>(levels_count_ * stride_);
        std::fill_n(levels_.get(), levels_count_ * stride_, INT32_MAX);
        // One row more than needed, all INT32_MAX: for rows outside the footprint.
        const std::size_t distinct = footprint.rows.size();
        table_ = aligned_array<std::int32_t>((batch * distinct + 1) * columns);
        std::fill_n(table_.get(), (batch * distinct + 1) * columns, INT32_MAX);
        ring_ = aligned_array<std::int32_t>(ring_rows_ * columns);
        const std::size_t outside = batch * distinct;
        const std::size_t rows = footprint.row_of.size();
        // Accumulator k of a batch that begins at input row Y belongs to output row Y - dy_max + k.
        for (std::size_t k = 0; k < ring_rows_; ++k) {
            for (std::size_t b = 0; b < batch; ++b) {
                const std::size_t dy = rows - 1 + b - k;
                const int row = dy < rows ? footprint.row_of[dy] : -1;
                offsets_.push_back((row < 0 ? outside : b * distinct + static_cast<std::size_t>(row)) *
                                   columns);
            }
        }
    }

    void run(std::size_t x, std::size_t y_begin, std::size_t y_end, const ReadKeys& read,
             const TakeKeys& take) {
        if (rectangular()) return run_rectangle(x, y_begin, y_end, read, take);
        const auto begin = static_cast<std::ptrdiff_t>(y_begin);
        const auto end = static_cast<std::ptrdiff_t>(y_end);
        const std::size_t n = std::min(columns_, static_cast<std::size_t>(width_) - x);
        std::size_t first = 0;
        std::fill_n(ring_.get(), ring_rows_ * columns_, INT32_MAX);
        for (std::ptrdiff_t y = begin + footprint_.dy_min; y < end + footprint_.dy_max();
             y += static_cast<std::ptrdiff_t>(batch)) {
            fill(x, y, read);
            loops_.lower(ring_.get(), ring_rows_, first, ring_rows_, table_.get(), offsets_.data(), columns_);
            for (std::size_t b = 0; b < batch; ++b, first = first + 1 < ring_rows_ ? first + 1 : 0) {
                std::int32_t* row = ring_.get() + first * columns_;
                const std::ptrdiff_t out = y - footprint_.dy_max() + static_cast<std::ptrdiff_t>(b);
                if (out >= begin && out < end) take(static_cast<std::size_t>(out), x, n, row);
                std::fill_n(row, columns_, INT32_MAX);
            }
        }
    }

  private:
    [[nodiscard]] bool rectangular() const {
        return footprint_.rows.size() == 1 && footprint_.row_of.size() >= tall &&
               std::count(footprint_.row_of.begin(), footprint_.row_of.end(), 0) ==
                   static_cast<std::ptrdiff_t>(footprint_.row_of.size());
    }

    // The same row over and over: minima over 1, 2, 4, ... rows are formed as they are along a line.
    void run_rectangle(std::size_t x, std::size_t y_begin, std::size_t y_end, const ReadKeys& read,
                       const TakeKeys& take) {
        const std::size_t rows = footprint_.row_of.size();
        const std::size_t levels = static_cast<std::size_t>(std::bit_width(rows));
        const std::size_t kept = std::bit_ceil(rows);
        if (!tower_) tower_ = aligned_array<std::int32_t>(levels * kept * columns_);
        std::fill_n(tower_.get(), levels * kept * columns_, INT32_MAX);
        const auto row_at = [&](std::size_t level, std::size_t row) {
            return tower_.get() + (level * kept + row % kept) * columns_;
        };
        const std::size_t n = std::min(columns_, static_cast<std::size_t>(width_) - x);
        // Row `done` of the tower is input row y_begin + dy_min + done, and ends output row y_begin + done -
        // rows + 1.
        const std::size_t last = y_end - y_begin + rows - 1;
        for (std::size_t done = 0; done < last; ++done) {
            if (done % batch == 0) {
                fill(x, static_cast<std::ptrdiff_t>(y_begin + done) + footprint_.dy_min, read);
            }
            std::copy_n(table_.get() + done % batch * columns_, columns_, row_at(0, done));
            for (std::size_t k = 1; k < levels; ++k) {
                const std::size_t step = std::size_t{1} << (k - 1);
                loops_.minimum(row_at(k - 1, done), row_at(k - 1, done + kept - step), row_at(k, done),
                               columns_);
            }
            if (done + 1 < rows) continue;
            const std::size_t back = rows - (std::size_t{1} << (levels - 1));
            loops_.minimum(row_at(levels - 1, done), row_at(levels - 1, done + kept - back), ring_.get(),
                           columns_);
            take(y_begin + done + 1 - rows, x, n, ring_.get());
        }
    }

    // The minima of input rows y, y + 1, ... over each distinct row of the footprint, from column x on.
    void fill(std::size_t x, std::ptrdiff_t y, const ReadKeys& read) {
        for (std::size_t b = 0; b < batch; ++b) {
            fill_line(x, y + static_cast<std::ptrdiff_t>(b), levels_.get() + b * line_, read);
        }
        // All rows of a batch in one go: what is loaded was stored long enough ago not to wait for it.
        std::int32_t* level = levels_.get();
        for (std::size_t k = 1; k < levels_count_; ++k, level += stride_) {
            loops_.minimum(level, level + (std::size_t{1} << (k - 1)), level + stride_, batch * line_);
        }
        std::int32_t* out = table_.get();
        for (std::size_t b = 0; b < batch; ++b) {
            for (const auto& row : footprint_.rows) {
                for (const Run& run : row) {
                    const auto length = static_cast<std::size_t>(run.length);
                    const std::size_t k = static_cast<std::size_t>(std::bit_width(length)) - 1;
                    const std::int32_t* left =
                        levels_.get() + k * stride_ + b * line_ + (run.dx - footprint_.dx_min);
                    const std::int32_t* right = left + (length - (std::size_t{1} << k));
                    const auto combine = &run == row.data() ? loops_.minimum : loops_.lower_by;
                    combine(left, right, out, columns_);
                }
                out += columns_;
            }
        }
    }

    // Row y of the input from column x + dx_min on; INT32_MAX outside the image.
    void fill_line(std::size_t x, std::ptrdiff_t y, std::int32_t* line, const ReadKeys& read) const {
        const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(x) + footprint_.dx_min;
        const std::ptrdiff_t from = std::clamp<std::ptrdiff_t>(left, 0, width_);
        const std::ptrdiff_t to =
            y < 0 || y >= height_
                ? from
                : std::clamp<std::ptrdiff_t>(left + static_cast<std::ptrdiff_t>(line_), from, width_);
        std::fill(line, line + (from - left), INT32_MAX);
        if (to > from) {
            read(static_cast<std::size_t>(y), static_cast<std::size_t>(from),
                 static_cast<std::size_t>(to - from), line + (from - left));
        }
        std::fill(line + (to - left), line + line_, INT32_MAX);
    }

    const FootprintRuns& footprint_;
    const simd::OpeningLoops& loops_ = LEE_BEST_ISA(opening_loops);
    std::ptrdiff_t height_;
    std::ptrdiff_t width_;
    std::size_t columns_;
    std::size_t reach_;
    std::size_t line_;
    std::size_t stride_ = 0;
    std::size_t ring_rows_;
    std::size_t levels_count_ = 1;
    AlignedArray<std::int32_t> levels_;
    AlignedArray<std::int32_t> table_;
    AlignedArray<std::int32_t> ring_;
    AlignedArray<std::int32_t> tower_;
    std::vector<std::size_t> offsets_;
};

}  // namespace

void footprint_minimum(const FootprintRuns& footprint, std::size_t height, std::size_t width,
                       const ReadKeys& read, const TakeKeys& take, int threads) {
    const auto reach = static_cast<std::size_t>(footprint.dx_max - footprint.dx_min) + 1;
    const std::size_t columns = std::min(
        round_up(std::clamp<std::size_t>(reach, narrowest, widest_strip), lanes), round_up(width, lanes));
    const std::size_t strips = (width + columns - 1) / columns;
    // Enough tasks for all workers, but chunks much taller than the footprint, whose rows each chunk reads
    // anew.
    const std::size_t rows = footprint.row_of.size();
    const auto workers = static_cast<std::size_t>(worker_count(height * width, threads));
    const std::size_t most = std::max<std::size_t>(1, height / std::max<std::size_t>(64, 4 * rows));
    const std::size_t chunks =
        workers == 1 ? 1 : std::clamp<std::size_t>((4 * workers + strips - 1) / strips, 1, most);
    std::vector<std::unique_ptr<Strip>> strip_of(workers);
    parallel_for(strips * chunks, threads, [&](std::size_t task, int worker) {
        auto& strip = strip_of[static_cast<std::size_t>(worker)];
        if (!strip) strip = std::make_unique<Strip>(footprint, height, width, columns);
        const std::size_t chunk = task / strips;
        strip->run(task % strips * columns, height * chunk / chunks, height * (chunk + 1) / chunks, read,
                   take);
    });
}

}  // namespace lee
