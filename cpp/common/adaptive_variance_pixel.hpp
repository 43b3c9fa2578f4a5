#pragma once

// Per-pixel arithmetic of the normalised local variance, the same on every backend.
#include <cstddef>
#include <cstdint>

#include "common/both.hpp"
#include "common/floats.hpp"

namespace lee::variance {

/// The sum of so many squares of 8 bits fits 32 bits.
inline constexpr std::size_t max_whole_area = 66051;

/// Variance over mean from sums of whole numbers below 2^53: only the division rounds. NaN where nothing is
/// counted, 0 where the mean is not positive.
LEE_BOTH float of_whole(double number, double sum, double square) {
    const double value = (number * square - sum * sum) / (number * sum);
    return number == 0.0 ? __builtin_nanf("") : sum > 0.0 ? static_cast<float>(value) : 0.0F;
}

/// The same from sums of what pixels exceed `offset` by.
LEE_BOTH float of_real(double number, double sum, double square, double offset) {
    const double mean = offset + sum / number;
    const double spread = number * square - sum * sum;
    const double value = spread / (number * number * mean);
    return number == 0.0                   ? __builtin_nanf("")
           : (mean > 0.0) & (spread > 0.0) ? static_cast<float>(value)
                                           : 0.0F;
}

LEE_BOTH float average(double number, double sum) {
    const double value = sum > 0.0 ? sum / number : 0.0;
    return number == 0.0 ? __builtin_nanf("") : static_cast<float>(value);
}

/// (pixel - m)^2 / m, m the mean of the pixels around it; NaN where the pixel is absent.
LEE_BOTH float detail(double pixel, bool present, double number, double sum, double offset) {
    const double mean = offset + sum / number;
    const double difference = pixel - mean;
    const double value = mean > 0.0 ? difference * difference / mean : 0.0;
    return present ? static_cast<float>(value) : __builtin_nanf("");
}

/// The largest focus over z must exceed this. own: share of the noise that a footprint's own mean takes away;
/// excess: factor on the focus of noise alone
LEE_BOTH double limit_of(float noise, double own, double excess) {
    return static_cast<double>(noise) * (1.0 - own) * excess;
}

// The noise is estimated in so many planes, and about so many pixels along y and x of each.
inline constexpr std::size_t noise_planes = 16;
inline constexpr double noise_pixels_along = 128.0;

/// r^2 / (36 m) of the 3 by 3 pixels around `pixel`, whose rows are `columns` apart; -1 where there is none.
template <class Pixel>
LEE_BOTH double noise_sample(const Pixel* pixel, std::size_t columns) {
    const Pixel *above = pixel - columns, *below = pixel + columns;
    const double corners = static_cast<double>(above[-1]) + static_cast<double>(above[1]) +
                           static_cast<double>(below[-1]) + static_cast<double>(below[1]);
    const double sides = static_cast<double>(pixel[-1]) + static_cast<double>(pixel[1]) +
                         static_cast<double>(above[0]) + static_cast<double>(below[0]);
    const double middle = static_cast<double>(pixel[0]);
    const double response = corners - 2.0 * sides + 4.0 * middle;
    const double mean = (corners + sides + middle) / 9.0;
    return finite(mean) & (mean > 0.0) ? response * response / (36.0 * mean) : -1.0;
}

/// From the samples' median.
LEE_BOTH float noise_of_median(double median) {
    constexpr double median_of_chi_squared = 0.45493642311957283;
    return static_cast<float>(median / median_of_chi_squared);
}

}  // namespace lee::variance
