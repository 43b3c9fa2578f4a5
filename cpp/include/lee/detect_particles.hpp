#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "lee/device.hpp"
#include "lee/export.hpp"
#include "lee/view.hpp"

namespace lee {

struct DetectParticlesParams {
    /// Standard deviation of the Gaussian that a point appears as, px, in [0.5, 6]; 0 = from the bright spots
    /// of this pair of frames; fewer than eight make it no narrower than `expected_sigma_px`
    double spot_sigma_px = 0;
    /// Its value where it is to be found from the spots and none is bright enough, px, in [0.5, 6]
    double expected_sigma_px = 1.4;
    /// False particles expected in a pair of frames without any; sets the threshold
    double false_alarms = 1;
    /// > 0: smallest signal-to-noise ratio of a particle, instead of `false_alarms`
    double threshold_snr = 0;
    /// Counts at and above which a pixel is saturated
    double saturation = std::numeric_limits<double>::infinity();
    /// Displacement of the scene from `before` to `after`, px (dy, dx); it is compensated
    std::array<double, 2> shift_px{0, 0};
    /// Find particles that disappear, instead of those that appear
    bool disappearing = false;
    int threads = 0;  ///< 0 = all available cores; the result does not depend on it
};

/// One particle: nine floats, so that a table of them is an (N, 9) array.
struct Particle {
    float y_px, x_px;                          ///< in `after`; the centre of pixel (0, 0) is at (0, 0)
    float peak;                                ///< of the spot, counts
    float width_px;                            ///< standard deviation of the spot
    float y_sigma_px, x_sigma_px, peak_sigma;  ///< standard deviations; neighbours' uncertainty included
    float snr;    ///< matched filter's signal-to-noise ratio at the spot, neighbours subtracted
    float flags;  ///< sum of ParticleFlag
};

enum ParticleFlag : int {
    particle_crowded = 1,  ///< its spot overlaps another's; both were fitted together
    particle_edge = 2,     ///< its spot is cut by the border
    particle_masked = 4,   ///< a part of its spot was saturated or not measured
    particle_wide = 8      ///< its spot is wider than a point's
};

struct DetectedParticles {
    std::vector<Particle> particles;  ///< by rows, then columns; empty where the results are on a device
    std::size_t count = 0;
    double spot_sigma_px = 0;    ///< standard deviation of a point's image, given or found
    std::size_t sigma_from = 0;  ///< bright spots it was found from; 0 where it was given or expected
    double threshold_snr = 0;    ///< detection threshold: smallest signal-to-noise ratio
    double noise = 0;            ///< standard deviation of a pixel's difference, counts: median over tiles
    /// Median noise of the matched filter's output, over that of white noise of that size: 1 where the frames
    /// differ by noise alone, more where texture remains
    double excess = 0;
    std::size_t not_measured = 0, saturated = 0;  ///< pixels that were ignored
    std::size_t left_out = 0;                     ///< spots discarded: their cell of the image was full
};

/// Find the bright spots that appear between two frames of the same place.
///
/// shape      before, after (H, W)    H and W >= 1, H W <= 2^31    axial (H, W), or empty
/// unit       before, after counts    axial any
/// axial      change of `before` with height: what a surface that has grown between the frames changes. Where
///            it is empty, the Laplacian of the frames is used
/// shift      `before` is aligned with `after` by an eight-point Kaiser-windowed sinc
/// texture    in tiles of about 64 px, the difference is freed of what shift, defocus and change of
///            brightness of the frame without the particles (`before`; where particles disappear, `after`)
///            explain: a least-squares fit, used where it is significant (after Alard and Lupton, ApJ 503
///            (1998) 325)
/// slow       what varies slowly, as changed illumination does, is subtracted: means of cells of 16 px, or
///            nine widths of a spot, without the spots, smoothed by a quadratic over five cells
/// noise      its variance is a straight line over brightness, as far as that is not noise itself, scaled
///            from tile to tile; texture that remains raises it where texture is strong. In frames of floats
///            without any noise, a thousandth of the largest difference is used
/// filter     matched to a Gaussian spot in that noise: S = sum(g d / v) / sqrt(sum(g g / v))
/// threshold  the level above which a Gaussian random field of this smoothness is expected to have
///            `false_alarms` maxima in the field (Adler, The Geometry of Random Fields, 1981); raised where
///            the noise of pixels has heavier tails than a Gaussian, as few photons have
/// pixels     a spot that one pixel explains as well, a cosmic ray or a pixel that blinks, is no particle
/// spots      Gaussians fitted by weighted least squares, neighbours together; where residuals remain, spots
///            are added or split as long as chi square falls by more than noise, and the departure of the
///            optics from a Gaussian, explain; two that are explained as well by one become one
/// ties       of equal neighbouring pixels the first, by rows, then columns, is the maximum
/// NaN        and infinite, saturated and uncovered pixels are ignored and counted; a particle's centre is
///            never on one
/// throws     ShapeError or std::invalid_argument
LEE_API DetectedParticles detect_particles(HostView<const std::uint8_t, 2> before,
                                           HostView<const std::uint8_t, 2> after,
                                           HostView<const float, 2> axial = {},
                                           const DetectParticlesParams& params = {});
LEE_API DetectedParticles detect_particles(HostView<const std::uint16_t, 2> before,
                                           HostView<const std::uint16_t, 2> after,
                                           HostView<const float, 2> axial = {},
                                           const DetectParticlesParams& params = {});
LEE_API DetectedParticles detect_particles(HostView<const float, 2> before, HostView<const float, 2> after,
                                           HostView<const float, 2> axial = {},
                                           const DetectParticlesParams& params = {});

/// The same on the current CUDA device, on `stream`, which it waits for; `threads` is ignored.
///
/// particles  (capacity, 9), rows as Particle; rows beyond `count` are not written, nor is any row where
///            `count` exceeds the capacity. The result's own `particles` is empty
/// equal      to the CPU's result to float rounding
/// throws     as above, and DeviceError where an array is not on that device
LEE_API DetectedParticles detect_particles(DeviceView<const std::uint8_t, 2> before,
                                           DeviceView<const std::uint8_t, 2> after,
                                           DeviceView<const float, 2> axial, DeviceView<float, 2> particles,
                                           const DetectParticlesParams& params, Stream stream = {});
LEE_API DetectedParticles detect_particles(DeviceView<const std::uint16_t, 2> before,
                                           DeviceView<const std::uint16_t, 2> after,
                                           DeviceView<const float, 2> axial, DeviceView<float, 2> particles,
                                           const DetectParticlesParams& params, Stream stream = {});
LEE_API DetectedParticles detect_particles(DeviceView<const float, 2> before,
                                           DeviceView<const float, 2> after, DeviceView<const float, 2> axial,
                                           DeviceView<float, 2> particles,
                                           const DetectParticlesParams& params, Stream stream = {});

/// Signal-to-noise ratio above which the matched filter's output, a Gaussian random field, is expected to
/// have `false_alarms` maxima in `area_px` pixels; 2 at least.
LEE_API double particle_threshold(double area_px, double spot_sigma_px, double false_alarms);

}  // namespace lee
