#include "lee/error.hpp"

namespace lee {

// Defined here so that the class has one home, and one type identity across shared libraries.
ShapeError::~ShapeError() = default;

}  // namespace lee
