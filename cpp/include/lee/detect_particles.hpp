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
    /// Standard deviation of the Gaussian a point shows as, px, in [0.5, 6]; 0 = from the bright spots at
    /// hand
    double spot_sigma_px = 0;
    /// What it is taken for where it is to be found from the spots and too few are bright enough to tell
    double expected_sigma_px = 1.4;
    /// False particles expected in a pair of frames without any; sets the threshold
    double false_alarms = 1;
    /// > 0: least signal-to-noise ratio of a particle, instead of `false_alarms`
    double threshold_snr = 0;
    /// Counts at and above which a pixel is saturated
    double saturation = std::numeric_limits<double>::infinity();
    /// How far `after` shows things from where `before` does, px (dy, dx); it is taken out
    std::array<double, 2> shift_px{0, 0};
    /// Look for what disappears instead of what appears
    bool disappearing = false;
    int threads = 0;  ///< 0 = all available cores; the result does not depend on it
};

/// One particle: nine floats, so that a table of them is an (N, 9) array.
struct Particle {
    float y_px, x_px;  ///< in the frame taken later; the middle of pixel (0, 0) is at (0, 0)
    float peak;        ///< of the spot, counts
    float width_px;    ///< standard deviation of the spot
    float y_sigma_px, x_sigma_px, peak_sigma;  ///< standard deviations; neighbours' uncertainty included
    float snr;    ///< peak of the matched filter, neighbours taken away, over the noise there
    float flags;  ///< sum of ParticleFlag
};

enum ParticleFlag : int {
    particle_crowded = 1,  ///< its spot overlaps another's; both were fitted together
    particle_edge = 2,     ///< its spot is cut by the border
    particle_masked = 4,   ///< a part of its spot was saturated or not measured
    particle_wide = 8      ///< its spot is wider than a point's
};

struct DetectedParticles {
    std::vector<Particle> particles;  ///< by rows, then columns; empty where they lie on a device
    std::size_t count = 0;
    double spot_sigma_px = 0;    ///< of the points, given or found
    std::size_t sigma_from = 0;  ///< bright spots it was found from; 0 where it was given or expected
    double threshold_snr = 0;    ///< least signal-to-noise ratio
    double noise = 0;            ///< of a pixel's difference, counts: median over tiles
    /// Median noise behind the matched filter, over what white noise of that size gives: 1 where the frames
    /// differ by noise alone, more where texture is left
    double excess = 0;
    std::size_t not_measured = 0, saturated = 0;  ///< pixels that took no part
    std::size_t left_out = 0;                     ///< emitters beyond what a place can hold
};

/// Find the bright spots that appear between two frames of the same place.
///
/// shape   before, after (H, W), H and W >= 1; axial (H, W), or empty
/// unit    counts
/// axial   how `before` changes with height, any unit: what a surface that has grown between the frames
///         changes. Where it is empty, the Laplacian of the frames stands in for it
/// shift   `before` is moved over `after` by an eight-point Kaiser-windowed sinc
/// texture the difference is freed, in tiles of about 64 px, from what can be had by moving, refocusing and
///         brightening the frame without the particles (`before`; where things disappear, `after`): a
///         least-squares fit, taken where it is significant (after Alard and Lupton, ApJ 503 (1998) 325)
/// noise   its variance is a straight line over brightness, scaled from tile to tile; what texture leaves
///         raises it where texture is strong. In frames of floats without any noise, a thousandth of the
///         largest difference stands in for it
/// filter  matched to a Gaussian spot in that noise: S = sum(g d / v) / sqrt(sum(g g / v))
/// threshold the level above which a Gaussian random field of this smoothness is expected to have
///         `false_alarms` maxima in the field (Adler, The Geometry of Random Fields, 1981)
/// spots   Gaussians fitted by weighted least squares, neighbours together; where the fit leaves something,
///         spots are added or split as long as chi square falls by more than noise, and optics' departure
///         from a Gaussian, explain; two that are as well explained by one become one
/// NaN     and infinite, saturated and uncovered pixels take no part and are counted; a particle's middle
///         never lies on one
/// throws  ShapeError or std::invalid_argument
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

/// The same on the current CUDA device, on `stream`, which it waits for; `threads` does not matter. Equal to
/// the CPU's to float rounding.
///
/// particles (capacity, 9), rows as Particle; those beyond `count` are not written, and beyond `capacity`
/// nothing
///         is: `count` tells how many there are. The result's own `particles` is empty
/// throws  DeviceError also where an array is not on that device
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

/// Signal-to-noise ratio above which a Gaussian random field behind the matched filter is expected to have
/// `false_alarms` maxima in `area_px` pixels; 2 at least.
LEE_API double particle_threshold(double area_px, double spot_sigma_px, double false_alarms);

}  // namespace lee
