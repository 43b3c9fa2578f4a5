#pragma once

#include <cmath>
#include <string>

#include "common/check.hpp"
#include "common/detect_particles_spot.hpp"
#include "lee/detect_particles.hpp"

namespace lee::check {

/// Refuse the arguments that no backend accepts.
template <class Frame, class Axial>
void detect_particles(const Frame& before, const Frame& after, const Axial& axial,
                      const DetectParticlesParams& params) {
    constexpr const char* operation = "detect_particles";
    not_empty(operation, "before", before);
    same_shape(operation, "before", before, "after", after);
    if (axial.size() > 0) same_shape(operation, "before", before, "axial", axial);
    that(before.size() <= std::size_t{1} << 31, operation,
         "the frames have more than 2^31 pixels; give them in parts");
    const auto is_width = [](double px) { return px >= 0.5 && px <= double{particles::max_width_px}; };
    that(params.spot_sigma_px == 0 || is_width(params.spot_sigma_px), operation,
         "spot_sigma_px is " + std::to_string(params.spot_sigma_px) + "; give 0.5 to 6, or 0 for automatic");
    that(is_width(params.expected_sigma_px), operation,
         "expected_sigma_px is " + std::to_string(params.expected_sigma_px) + "; give 0.5 to 6");
    that(params.false_alarms > 0 && std::isfinite(params.false_alarms), operation,
         "false_alarms is " + std::to_string(params.false_alarms) + "; give a number above 0");
    that(params.threshold_snr >= 0 && std::isfinite(params.threshold_snr), operation,
         "threshold_snr is " + std::to_string(params.threshold_snr) +
             "; give a number above 0, or 0 for automatic");
    that(params.saturation > 0, operation,
         "saturation is " + std::to_string(params.saturation) + "; give counts above 0");
    const std::array<std::size_t, 2> extent = before.shape;
    for (std::size_t axis = 0; axis < 2; ++axis) {
        const double shift = params.shift_px[axis];
        that(std::abs(shift) < static_cast<double>(extent[axis]), operation,
             "shift_px is (" + std::to_string(params.shift_px[0]) + ", " +
                 std::to_string(params.shift_px[1]) + "), which leaves nothing of frames of " + text(extent) +
                 " pixels; give a smaller shift");
    }
}

}  // namespace lee::check
