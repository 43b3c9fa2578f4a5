#include "lee/refocuser.hpp"

#include <algorithm>
#include <array>

#include "common/check.hpp"
#include "common/floats.hpp"
#include "common/parallel.hpp"
#include "common/refocuser_check.hpp"
#include "common/refocuser_pixel.hpp"
#include "kernels/refocuser_fuse.hpp"
#include "kernels/refocuser_state.hpp"

namespace lee {

Refocuser::Refocuser(std::size_t height, std::size_t width, const RefocuserParams& params) {
    check::refocuser_params(height, width, params);
    state_ = std::make_unique<State>(Extent{height, width}, params);
}

Refocuser::~Refocuser() = default;
Refocuser::Refocuser(Refocuser&&) noexcept = default;
Refocuser& Refocuser::operator=(Refocuser&&) noexcept = default;

void Refocuser::push(HostView<const std::uint8_t, 2> frame, double z_um, double drift_y_px,
                     double drift_x_px) {
    state_->push(frame, z_um, drift_y_px, drift_x_px);
}
void Refocuser::push(HostView<const std::uint16_t, 2> frame, double z_um, double drift_y_px,
                     double drift_x_px) {
    state_->push(frame, z_um, drift_y_px, drift_x_px);
}
void Refocuser::push(HostView<const float, 2> frame, double z_um, double drift_y_px, double drift_x_px) {
    state_->push(frame, z_um, drift_y_px, drift_x_px);
}

void Refocuser::saturate_at(double counts) noexcept {
    state_->saturation = counts;
}

void Refocuser::close() {
    state_->close();
}

void Refocuser::finish(HostView<float, 2> height_um, HostView<float, 2> sigma_um, HostView<float, 2> sharp) {
    const std::array<std::size_t, 2> shape{state_->extent.rows, state_->extent.columns};
    check::result_shape("height_um", height_um, shape);
    check::result_shape("sigma_um", sigma_um, shape);
    check::result_shape("sharp", sharp, shape);
    state_->close();
    fuse(*state_, height_um, sigma_um, sharp);
}

void Refocuser::textured(HostView<std::uint8_t, 2> textured, bool beside_stronger) const {
    check::is_closed(state_->groups.closed());
    check::result_shape("textured", textured, std::array{state_->extent.rows, state_->extent.columns});
    find_textured(*state_, textured, beside_stronger);
}

std::vector<double> Refocuser::record_z_um() const {
    std::vector<double> out;
    for (const CellRow& row : state_->record.rows()) out.push_back(row.z_um);
    return out;
}

std::array<std::size_t, 2> Refocuser::cells() const {
    return {state_->cells.rows, state_->cells.columns};
}

void Refocuser::record(HostView<float, 3> brightness, HostView<float, 3> focus,
                       HostView<float, 2> saturated) const {
    const std::vector<CellRow>& rows = state_->record.rows();
    const auto [high, wide] = cells();
    check::result_shape("brightness", brightness, std::array{rows.size(), high, wide});
    check::result_shape("focus", focus, std::array{rows.size(), high, wide});
    check::result_shape("saturated", saturated, std::array{high, wide});
    for (std::size_t k = 0; k < rows.size(); ++k) {
        for (std::size_t i = 0; i < high * wide; ++i) {
            brightness.data[k * high * wide + i] = focus::decode(rows[k].brightness[i]);
            focus.data[k * high * wide + i] = focus::decode(rows[k].focus[i]);
        }
    }
    std::copy(state_->saturated.begin(), state_->saturated.end(), saturated.data);
}

void Refocuser::reject(HostView<const std::uint8_t, 3> occluded) {
    check::is_closed(state_->groups.closed());
    const auto [high, wide] = cells();
    check::result_shape("occluded", occluded, std::array{record_z_um().size(), high, wide});
    if (occluded.size() == 0) return;
    const RecordHeights heights(record_z_um());
    for (std::size_t k = 0; k < state_->levels.size(); ++k) {
        FocusLevel& level = state_->levels[k];
        parallel_for(
            level.extent.rows, state_->params.threads, [&, high = high, wide = wide](std::size_t y, int) {
                const simd::PeakRow peaks = level.peaks_at(y * level.extent.columns);
                const std::size_t v = focus::cell_of(y, k, high);
                for (std::size_t x = 0; x < level.extent.columns; ++x) {
                    const std::size_t u = focus::cell_of(x, k, wide);
                    bool out[2];
                    for (int slot = 0; slot < 2; ++slot) {
                        const float z = peaks.z_um[slot][x];
                        const std::size_t row =
                            heights
                                .order[focus::place_among(heights.borders.data(), heights.borders.size(), z)];
                        out[slot] = finite(z) && occluded(row, v, u) != 0;
                    }
                    focus::take_out(peaks, x, out[0], out[1]);
                }
            });
    }
}

void Refocuser::preview(HostView<float, 2> height_um) const {
    const FocusLevel& level = state_->levels[std::min<std::size_t>(1, state_->levels.size() - 1)];
    const std::array<std::size_t, 2> shape{state_->extent.rows, state_->extent.columns};
    check::result_shape("height_um", height_um, shape);
    const std::size_t factor = &level == state_->levels.data() ? 1 : 2;
    for (std::size_t y = 0; y < shape[0]; ++y) {
        const std::size_t row = std::min(y / factor, level.extent.rows - 1) * level.extent.columns;
        for (std::size_t x = 0; x < shape[1]; ++x) {
            height_um(y, x) = level.z_um[0][row + std::min(x / factor, level.extent.columns - 1)];
        }
    }
}

std::size_t Refocuser::frames() const noexcept {
    return state_->groups.frames();
}

std::size_t Refocuser::levels() const noexcept {
    return state_->levels.size();
}

double Refocuser::state_bytes_per_pixel() const noexcept {
    const State& s = *state_;
    std::size_t bytes = 0;
    for (const auto& group : s.sum_u8) bytes += sizeof(std::uint16_t) * group.size();
    for (const auto& group : s.sum_f32) bytes += sizeof(float) * group.size();
    for (const auto& group : s.detail) bytes += sizeof(std::uint16_t) * group.size();
    for (const FocusLevel& level : s.levels) bytes += level.bytes();
    for (const CellRow& row : s.record.rows())
        bytes += sizeof(std::uint16_t) * (row.brightness.size() + row.focus.size());
    bytes += sizeof(float) * s.saturated.size();
    return static_cast<double>(bytes) / static_cast<double>(s.extent.rows * s.extent.columns);
}

std::size_t Refocuser::level_height(std::size_t level) const {
    return state_->levels.at(level).extent.rows;
}

std::size_t Refocuser::level_width(std::size_t level) const {
    return state_->levels.at(level).extent.columns;
}

void Refocuser::peaks(std::size_t level, const FocusPeaks& out) const {
    const FocusLevel& from = state_->levels.at(level);
    const std::size_t n = from.extent.rows * from.extent.columns;
    const std::array<std::size_t, 3> shape{2, from.extent.rows, from.extent.columns};
    for (const auto& view : {out.z_um, out.peak, out.width_um}) {
        check::result_shape("an array for the peaks", view, shape);
    }
    for (std::size_t k = 0; k < 2; ++k) {
        for (std::size_t i = 0; i < n; ++i) {
            out.z_um.data[k * n + i] = from.z_um[k][i];
            out.peak.data[k * n + i] = focus::decode(from.peak[k][i]);
            out.width_um.data[k * n + i] = focus::width_of(focus::decode(from.width[k][i]));
        }
    }
}

void Refocuser::counts(HostView<float, 3> out) const {
    const FocusLevel& from = state_->levels.front();
    const std::size_t n = from.extent.rows * from.extent.columns;
    const std::array<std::size_t, 3> shape{2, from.extent.rows, from.extent.columns};
    check::result_shape("counts", out, shape);
    for (std::size_t k = 0; k < 2; ++k)
        std::copy(from.counts[k].begin(), from.counts[k].end(), out.data + k * n);
}

std::vector<std::array<double, 3>> Refocuser::residual_drifts() const {
    return state_->groups.residual_drifts();
}

float Refocuser::noise() const {
    return state_->noise();
}

}  // namespace lee
