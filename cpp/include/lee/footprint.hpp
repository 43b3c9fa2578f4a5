#pragma once

#include <cstddef>
#include <cstdint>

#include "lee/view.hpp"

namespace lee {

/// The neighbourhood of a local operation: the pixels of `mask` that are not zero, around its centre.
struct Footprint {
    HostView<const std::uint8_t, 2> mask;
    std::size_t centre_y = 0;  ///< row of the centre in `mask`, px
    std::size_t centre_x = 0;  ///< column of the centre in `mask`, px
};

}  // namespace lee
