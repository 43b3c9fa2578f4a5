#pragma once

#include <stdexcept>

#include "lee/export.hpp"

namespace lee {

/// Arguments whose shapes do not fit together. The message opens with the operation's name.
class LEE_API ShapeError : public std::invalid_argument {
  public:
    using std::invalid_argument::invalid_argument;
    ShapeError(const ShapeError&) = default;
    ShapeError& operator=(const ShapeError&) = default;
    ~ShapeError() override;
};

}  // namespace lee
