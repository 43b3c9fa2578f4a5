#include <vector>

#include "expect.hpp"
#include "lee/error.hpp"
#include "lee/toy_negation.hpp"

int main() {
    const std::vector<float> height{1.0F, -2.0F, 3.0F, 0.5F};
    std::vector<float> out(4);
    lee::toy_negation({height.data(), {2, 2}}, {out.data(), {2, 2}});
    EXPECT(out == (std::vector<float>{-1.0F, 2.0F, -3.0F, -0.5F}));
    expect_error<lee::ShapeError>(
        "toy_negation: height is (2, 2) but out is (4, 1); they must have the same shape",
        [&] { lee::toy_negation({height.data(), {2, 2}}, {out.data(), {4, 1}}); });
    if (lee::built_with_cuda()) return 0;
    const auto from = lee::DeviceView<const float, 2>::at(height.data(), {2, 2});
    const auto to = lee::DeviceView<float, 2>::at(out.data(), {2, 2});
    expect_error<lee::DeviceError>(
        "toy_negation: this build of lee has no CUDA kernels; build it with LEE_CUDA=ON, or work on the CPU",
        [&] { lee::toy_negation(from, to); });
}
