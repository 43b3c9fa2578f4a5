#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include "lee/refocuser.hpp"

namespace lee {

/// Weights of the six pixels around a point `shift` to the right of the third (Lanczos, three lobes).
using Weights = std::array<float, 6>;

/// Groups of frames that are averaged together, and their heights, the same on every backend.
class ScanGroups {
  public:
    /// Groups in which a maximum of the focus curve is searched for: it needs two on either side.
    static constexpr std::size_t ring = 5;
    /// Groups whose sums are kept: a maximum is known three groups after its frames were summed.
    static constexpr std::size_t sums = 4;
    /// Groups whose details are kept: the energy of a group needs those before and after it.
    static constexpr std::size_t details = 3;

    ScanGroups(std::size_t height, std::size_t width, double depth_of_field_um);

    /// Refuse frames that do not continue the scan. pixel_bytes: 1, 2 or 4
    ///
    /// throws  ShapeError or std::invalid_argument; changes nothing
    void check(std::array<std::size_t, 2> shape, std::size_t pixel_bytes, std::span<const double> z_um,
               std::span<const std::array<double, 2>> drift_px) const;
    /// Whether the frame at z_um begins a new group, so that the current one ends.
    [[nodiscard]] bool full(double z_um) const;
    /// Add a frame; it is the group's first where `first()` is true before.
    void add(std::size_t pixel_bytes, bool whole_counts, double z_um, std::array<double, 2> drift_px);
    /// End the current group, which has at least one frame.
    void end();
    void close() noexcept { closed_ = true; }

    [[nodiscard]] bool first() const noexcept { return in_group_ == 0; }
    [[nodiscard]] bool closed() const noexcept { return closed_; }
    [[nodiscard]] std::size_t frames() const noexcept { return frames_; }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] bool whole_counts() const noexcept { return whole_counts_; }
    /// Bytes of a pixel, 0 before the first frame.
    [[nodiscard]] std::size_t pixel_bytes() const noexcept { return pixel_bytes_; }
    /// Whole pixels by which the frames of the current group are shifted.
    [[nodiscard]] std::array<int, 2> shift() const noexcept { return shift_; }
    /// Whether the drift of the group just ended has a part below a pixel, and the weights that compensate
    /// it: down, across.
    [[nodiscard]] bool between_pixels() const noexcept { return between_pixels_; }
    [[nodiscard]] const std::array<Weights, 2>& weights() const noexcept { return weights_; }

    /// Of every group: its height, and the part of its drift that whole pixels do not compensate, down and
    /// across.
    [[nodiscard]] const std::vector<std::array<double, 3>>& residual_drifts() const noexcept {
        return residual_drifts_;
    }

    /// Of a group that ended within the last `sums`: 1 / frames
    [[nodiscard]] float mean_scale(std::size_t group) const;
    [[nodiscard]] double z_um(std::size_t group) const { return z_um_[group % z_um_.size()]; }
    /// Heights of the groups around `middle`, relative to it; those that do not exist hold no focus.
    [[nodiscard]] std::array<float, ring> heights_around(std::size_t middle) const;
    /// Whether a group is near enough to the one before or after it to have the same detail.
    [[nodiscard]] bool near_before(std::size_t group) const { return group > 0 && near(group, group - 1); }
    [[nodiscard]] bool near_after(std::size_t group) const {
        return group + 1 < count_ && near(group, group + 1);
    }
    /// A height for the group that would follow the last one.
    void continue_heights();

  private:
    [[nodiscard]] bool near(std::size_t group, std::size_t other) const;

    std::array<std::size_t, 2> shape_;
    double depth_um_;
    std::size_t frames_ = 0, in_group_ = 0, count_ = 0, pixel_bytes_ = 0;
    bool closed_ = false, between_pixels_ = false, whole_counts_ = true;
    int direction_ = 0;
    double first_z_ = 0.0, sum_z_ = 0.0, last_z_ = 0.0;
    std::array<int, 2> shift_{};
    std::array<double, 2> sum_drift_{};  // beyond the shift
    std::array<Weights, 2> weights_{};
    std::array<double, ring + 1> z_um_{};
    std::array<std::size_t, sums> frames_of_{};
    std::vector<std::array<double, 3>> residual_drifts_;
};

}  // namespace lee
