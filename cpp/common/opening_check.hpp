#pragma once

#include <string>

#include "common/check.hpp"
#include "lee/opening.hpp"

namespace lee::check {

/// Refuse the arguments that no backend accepts.
inline void opening_params(const OpeningParams& params) {
    that(!(params.threshold < 0), "opening",
         "threshold is " + std::to_string(params.threshold) + "; give a height >= 0, or NaN for automatic");
    that(params.mad_factor >= 0, "opening",
         "mad_factor is " + std::to_string(params.mad_factor) + "; give a number >= 0");
}

}  // namespace lee::check
