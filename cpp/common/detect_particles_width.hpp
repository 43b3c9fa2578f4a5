#pragma once

// The width of a single bright spot, and the width of most of them.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "common/detect_particles_spot.hpp"
#include "lee/detect_particles.hpp"

namespace lee::particles {

/// Signal-to-noise ratio of the spots that are measured, and how many of them.
inline constexpr float width_threshold = 8.0F;
inline constexpr std::size_t width_spots = 512;
/// From so many spots on, their most frequent width is found.
inline constexpr std::size_t min_widths = 8;
/// Share by which the widths of points differ.
inline constexpr float alike = 0.1F;
/// Share of a spot that its brightest pixel must not explain, as it does a cosmic ray or a pixel that blinks.
inline constexpr float most_of_one_pixel = 0.9F;

/// A step of place and width that ends a fit, in widths: the one after it is a thousandth of it.
inline constexpr float width_tolerance = 1e-3F;

struct WidthOf {
    float px = 0;     ///< 0 where the spot is not that of one point
    float sigma = 0;  ///< its standard deviation
};

/// Fit peak, place, width and background of a spot; the window changes with the width.
LEE_BOTH WidthOf width_of(const Residuals& image, float y, float x, float begin_px) {
    Spot spot{y, x, 0.0F, begin_px};
    float ground = 0.0F, information = 0.0F, light = 0.0F, left = 0.0F, seen = 0.0F;
    for (int k = 0; k < 14; ++k) {
        const Window at = window_at(image, spot.y, spot.x, pixels(3.0F * spot.width));
        float along_y[2 * max_reach + 1], along_x[2 * max_reach + 1];
        shape_along(spot.y, spot.width, at.y0, at.height, along_y);
        shape_along(spot.x, spot.width, at.x0, at.width, along_x);
        float a[15] = {}, b[5] = {};
        const float turn = 1.0F / (spot.width * spot.width);
        left = 0.0F, seen = 0.0F;
        for (int j = 0; j < at.height; ++j) {
            for (int i = 0; i < at.width; ++i) {
                const std::size_t pixel =
                    static_cast<std::size_t>(at.y0 + j) * image.pitch + static_cast<std::size_t>(at.x0 + i);
                const float w = image.weight[pixel], g = along_y[j] * along_x[i];
                const float r = image.left[pixel] - spot.peak * g - ground;
                const float v = static_cast<float>(at.y0 + j) - spot.y,
                            u = static_cast<float>(at.x0 + i) - spot.x;
                // The first step finds the peak alone: without one, nothing pulls at place and width.
                const float h = (k == 0 ? 0.0F : spot.peak) * g * turn;
                const float slope[5] = {g, h * v, h * u, h * (v * v + u * u) / spot.width,
                                        k == 0 ? 0.0F : 1.0F};
                left += w * r * r, seen += w > 0 ? 1.0F : 0.0F;
                for (int p = 0; p < 5; ++p) {
                    b[p] += w * slope[p] * r;
                    for (int q = 0; q <= p; ++q) a[p * (p + 1) / 2 + q] += w * slope[p] * slope[q];
                }
            }
        }
        light = a[0], information = a[9];
        for (int p = 0; p < 5; ++p)
            a[p * (p + 1) / 2 + p] = 1.001F * a[p * (p + 1) / 2 + p] + (k == 0 ? 1e-6F : 1e-12F);
        if (!solve<5>(a, b)) return {};
        spot.peak += b[0];
        spot.y += clamped(b[1], -0.3F * spot.width, 0.3F * spot.width);
        spot.x += clamped(b[2], -0.3F * spot.width, 0.3F * spot.width);
        spot.width = clamped(spot.width + clamped(b[3], -0.3F * spot.width, 0.3F * spot.width), 0.4F,
                             1.2F * max_width_px);
        ground += b[4];
        if (!(spot.peak > 0)) return {};
        const float step = b[1] * b[1] + b[2] * b[2] + b[3] * b[3];
        if (k > 0 && step < width_tolerance * width_tolerance * spot.width * spot.width) break;
    }
    const float away = (spot.y - y) * (spot.y - y) + (spot.x - x) * (spot.x - x);
    // Anything but a single round spot leaves more than noise, and more than a hundredth of itself.
    const float power = spot.peak * spot.peak * information * spot.width * spot.width;
    const bool round = left < 2.0F * seen + 0.02F * power;
    const bool is_pixel = of_one_pixel(image, {spot.y, spot.x, 0.0F, spot.width}) >
                          most_of_one_pixel * spot.peak * spot.peak * light;
    const bool sound = round && !is_pixel && away < 4.0F * spot.width * spot.width && spot.width > 0.45F &&
                       spot.width <= max_width_px;
    return sound && information > 0 ? WidthOf{spot.width, 1.0F / __builtin_sqrtf(information)} : WidthOf{};
}

/// The most frequent width of spots, as clusters are wider and noise scatters to both sides; of fewer than
/// `min_widths`, that of the narrowest. 0 without any, and where so few are narrower than `expected_px`: a
/// pixel that blinks within a spot makes it narrow. `count`: the spots it is estimated from.
double common_width(const std::vector<WidthOf>& widths, double expected_px, std::size_t& count);

/// A filter whose width is off by less than this share loses no more than a thousandth of the signal.
inline constexpr double near_enough = 0.03;

/// The width of a point's image, given or found, and the field filtered for it: filter(sigma) prepares
/// width(sigma), which estimates the width from the spots, or returns 0.
template <class Filter, class Width>
double filter_for_points(const DetectParticlesParams& params, const Filter& filter, const Width& width) {
    const bool given = params.spot_sigma_px != 0;
    double sigma = given ? params.spot_sigma_px : params.expected_sigma_px;
    filter(sigma);
    // Once more where the first filter was far from fitting, and may have merged or missed spots.
    for (int round = 0; !given && round < 2; ++round) {
        const double found = width(sigma), was = sigma;
        if (found == 0) break;
        sigma = std::clamp(found, 0.5, double{max_width_px});
        const double off = std::abs(sigma / was - 1);
        if (off > near_enough) filter(sigma);
        if (off < 0.2) break;
    }
    return sigma;
}

}  // namespace lee::particles
