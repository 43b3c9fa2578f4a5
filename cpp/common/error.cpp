#include "lee/error.hpp"

#include "lee/device.hpp"

namespace lee {

// Defined here so that each class has one home, and one type identity across shared libraries.
ShapeError::~ShapeError() = default;
DeviceError::~DeviceError() = default;
DeviceMemoryError::~DeviceMemoryError() = default;

}  // namespace lee
