#include "common/refocuser_groups.hpp"

#include <algorithm>
#include <cmath>
#include <string>

#include "common/check.hpp"

namespace lee {
namespace {

constexpr const char* name = "refocuser";
constexpr std::size_t max_frames_a_group = 256;  // their 8-bit sum fits 16 bits
// Four to five groups over the half width: finer gains nothing, coarser leaves too few samples on the focus
// curve.
constexpr double groups_a_depth = 4.4;
constexpr double max_spacing_a_depth = 0.75;  // farther apart, groups no longer have the same detail
constexpr double min_shift_px = 0.02;         // less is not worth resampling for
constexpr double max_drift_px = 1e6;

/// Lanczos weights keep the fine texture that focus is measured on, which linear interpolation would blur.
Weights lanczos(double shift) {
    constexpr double pi = 3.14159265358979323846;
    std::array<double, 6> exact{};
    double sum = 0.0;
    for (std::size_t k = 0; k < exact.size(); ++k) {
        const double x = pi * (static_cast<double>(k) - 2.0 - shift);
        exact[k] = std::abs(x) < 1e-9        ? 1.0
                   : std::abs(x) >= 3.0 * pi ? 0.0
                                             : 3.0 * std::sin(x) * std::sin(x / 3.0) / (x * x);
        sum += exact[k];
    }
    Weights weights{};
    for (std::size_t k = 0; k < exact.size(); ++k) weights[k] = static_cast<float>(exact[k] / sum);
    return weights;
}

}  // namespace

ScanGroups::ScanGroups(std::size_t height, std::size_t width, double depth_of_field_um)
    : shape_{height, width}, depth_um_(depth_of_field_um) {}

void ScanGroups::check(std::array<std::size_t, 2> shape, std::size_t pixel_bytes,
                       std::span<const double> z_um, std::span<const std::array<double, 2>> drift_px) const {
    check::that(!closed_, name, "the scan has been closed; start a new refocuser for the next one");
    if (shape != shape_) {
        throw ShapeError("refocuser: frame is " + check::text(shape) + " but the refocuser was made for " +
                         check::text(shape_));
    }
    std::size_t before = frames_;
    double last = last_z_;
    int direction = direction_;
    for (const double z : z_um) {
        check::that(std::isfinite(z), name, "z_um is not finite; give the height that the frame focuses on");
        if (before++ > 0) {
            const int now = z > last ? 1 : z < last ? -1 : 0;
            check::that(now != 0 && (direction == 0 || now == direction), name,
                        "z_um goes from " + std::to_string(last) + " to " + std::to_string(z) +
                            "; it must rise or fall from frame to frame throughout a scan");
            direction = now;
        }
        last = z;
    }
    for (const auto& [y, x] : drift_px) {
        check::that(std::abs(y) < max_drift_px && std::abs(x) < max_drift_px, name,
                    "the drift is not finite, or beyond a million pixels; give it in pixels");
    }
    check::that(pixel_bytes_ == 0 || (pixel_bytes_ == 1) == (pixel_bytes == 1), name,
                "frames of 8 bits and others cannot be mixed in one scan; convert them to one type");
}

bool ScanGroups::full(double z_um) const {
    if (in_group_ == 0) return false;
    const double group_um = depth_um_ / groups_a_depth;
    return std::abs(z_um - first_z_) > group_um * (1.0 - 1e-6) || in_group_ == max_frames_a_group;
}

void ScanGroups::add(std::size_t pixel_bytes, bool whole_counts, double z_um,
                     std::array<double, 2> drift_px) {
    if (in_group_ == 0) {
        first_z_ = z_um, sum_z_ = 0.0;
        for (std::size_t axis = 0; axis < 2; ++axis) {
            shift_[axis] = static_cast<int>(std::lround(drift_px[axis]));
            sum_drift_[axis] = 0.0;
        }
    }
    if (frames_ > 0) direction_ = z_um > last_z_ ? 1 : -1;
    for (std::size_t axis = 0; axis < 2; ++axis) sum_drift_[axis] += drift_px[axis] - shift_[axis];
    pixel_bytes_ = pixel_bytes;
    whole_counts_ = whole_counts;
    sum_z_ += z_um;
    last_z_ = z_um;
    ++in_group_;
    ++frames_;
}

void ScanGroups::end() {
    const auto frames = static_cast<double>(in_group_);
    z_um_[count_ % z_um_.size()] = sum_z_ / frames;
    frames_of_[count_ % sums] = in_group_;
    ++count_;
    const double y = sum_drift_[0] / frames, x = sum_drift_[1] / frames;
    between_pixels_ = std::max(std::abs(y), std::abs(x)) > min_shift_px;
    weights_ = {lanczos(y), lanczos(x)};
    residual_drifts_.push_back({sum_z_ / frames, between_pixels_ ? y : 0.0, between_pixels_ ? x : 0.0});
    in_group_ = 0;
}

float ScanGroups::mean_scale(std::size_t group) const {
    return 1.0F / static_cast<float>(frames_of_[group % sums]);
}

std::array<float, ScanGroups::ring> ScanGroups::heights_around(std::size_t middle) const {
    std::array<float, ring> u{};
    for (std::size_t k = 0; k < ring; ++k) {
        if (middle + k >= 2) u[k] = static_cast<float>(z_um(middle + k - 2) - z_um(middle));
    }
    return u;
}

bool ScanGroups::near(std::size_t group, std::size_t other) const {
    return std::abs(z_um(group) - z_um(other)) < max_spacing_a_depth * depth_um_;
}

void ScanGroups::continue_heights() {
    z_um_[count_ % z_um_.size()] = 2.0 * z_um(count_ - 1) - z_um(count_ - 2);
}

}  // namespace lee
