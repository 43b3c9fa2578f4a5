#include "lee/curvature.hpp"

#include <optional>
#include <string>

#include "arrays.hpp"
#include "cuda_arrays.hpp"

using namespace lee::bindings;

namespace {

lee::CurvatureParams params_of(const std::string& family, double scale_um, double pixel_um, int threads) {
    const auto which =
        family == "savgol" ? lee::CurvatureFamily::savgol
        : family == "gaussian"
            ? lee::CurvatureFamily::gaussian
            : throw py::value_error("curvature: no family called " + family + "; give savgol or gaussian");
    return {.family = which, .scale_um = scale_um, .pixel_um = pixel_um, .threads = threads};
}

py::tuple curvature(const Array<float>& height, const py::object& sigma, const std::string& family,
                    double scale_um, double pixel_um, int threads) {
    const auto params = params_of(family, scale_um, pixel_um, threads);
    const auto in = read_view<2>(height, "height");
    auto mean = new_array<float>(in.shape), gauss = new_array<float>(in.shape);
    auto high = new_array<float>(in.shape), low = new_array<float>(in.shape);
    const auto mean_view = write_view<2>(mean, "mean"), gauss_view = write_view<2>(gauss, "gauss");
    const auto high_view = write_view<2>(high, "high"), low_view = write_view<2>(low, "low");
    if (sigma.is_none()) {
        {
            const py::gil_scoped_release nogil;
            lee::curvature(in, mean_view, gauss_view, high_view, low_view, params);
        }
        return py::make_tuple(mean, gauss, high, low, py::none(), py::none());
    }
    const auto sigmas = py::cast<Array<float>>(sigma);
    const auto sigma_view = read_view<2>(sigmas, "sigma");
    auto mean_sigma = new_array<float>(in.shape), gauss_sigma = new_array<float>(in.shape);
    const auto mean_sigma_view = write_view<2>(mean_sigma, "mean_sigma");
    const auto gauss_sigma_view = write_view<2>(gauss_sigma, "gauss_sigma");
    {
        const py::gil_scoped_release nogil;
        lee::curvature(in, sigma_view, mean_view, gauss_view, high_view, low_view, mean_sigma_view,
                       gauss_sigma_view, params);
    }
    return py::make_tuple(mean, gauss, high, low, mean_sigma, gauss_sigma);
}

py::tuple height_derivatives(const Array<float>& height, const std::string& family, double scale_um,
                             double pixel_um, int threads) {
    const auto params = params_of(family, scale_um, pixel_um, threads);
    const auto in = read_view<2>(height, "height");
    auto x = new_array<float>(in.shape), y = new_array<float>(in.shape);
    auto xx = new_array<float>(in.shape), xy = new_array<float>(in.shape), yy = new_array<float>(in.shape);
    const auto x_view = write_view<2>(x, "slope_x"), y_view = write_view<2>(y, "slope_y");
    const auto xx_view = write_view<2>(xx, "xx"), xy_view = write_view<2>(xy, "xy"),
               yy_view = write_view<2>(yy, "yy");
    {
        const py::gil_scoped_release nogil;
        lee::height_derivatives(in, x_view, y_view, xx_view, xy_view, yy_view, params);
    }
    return py::make_tuple(x, y, xx, xy, yy);
}

using Device = CudaArray<float>;

void curvature_cuda(const CudaArray<const float>& height, const std::optional<CudaArray<const float>>& sigma,
                    const std::string& family, double scale_um, double pixel_um, const Device& mean,
                    const Device& gauss, const Device& high, const Device& low,
                    const std::optional<Device>& mean_sigma, const std::optional<Device>& gauss_sigma,
                    std::uintptr_t stream) {
    const auto params = params_of(family, scale_um, pixel_um, 0);
    const auto in = view<2>(height, "height");
    const auto mean_view = view<2>(mean, "mean"), gauss_view = view<2>(gauss, "gauss");
    const auto high_view = view<2>(high, "high"), low_view = view<2>(low, "low");
    if (!sigma || !mean_sigma || !gauss_sigma) {
        lee::curvature(in, mean_view, gauss_view, high_view, low_view, params, stream_at(stream));
        return;
    }
    lee::curvature(in, view<2>(*sigma, "sigma"), mean_view, gauss_view, high_view, low_view,
                   view<2>(*mean_sigma, "mean_sigma"), view<2>(*gauss_sigma, "gauss_sigma"), params,
                   stream_at(stream));
}

void height_derivatives_cuda(const CudaArray<const float>& height, const std::string& family, double scale_um,
                             double pixel_um, const Device& x, const Device& y, const Device& xx,
                             const Device& xy, const Device& yy, std::uintptr_t stream) {
    lee::height_derivatives(view<2>(height, "height"), view<2>(x, "slope_x"), view<2>(y, "slope_y"),
                            view<2>(xx, "xx"), view<2>(xy, "xy"), view<2>(yy, "yy"),
                            params_of(family, scale_um, pixel_um, 0), stream_at(stream));
}

py::tuple curvature_window(const std::string& family, double scale_um, double pixel_um) {
    const auto window = lee::curvature_window(params_of(family, scale_um, pixel_um, 0));
    return py::make_tuple(window.radius_px, window.scale_um);
}

}  // namespace

void bind_curvature(py::module_& module) {
    module.def("curvature", &curvature, py::arg("height").noconvert(), py::arg("sigma"), py::kw_only(),
               py::arg("family"), py::arg("scale_um"), py::arg("pixel_um"), py::arg("threads"));
    module.def("height_derivatives", &height_derivatives, py::arg("height").noconvert(), py::kw_only(),
               py::arg("family"), py::arg("scale_um"), py::arg("pixel_um"), py::arg("threads"));
    module.def("curvature", &curvature_cuda, py::arg("height"), py::arg("sigma"), py::kw_only(),
               py::arg("family"), py::arg("scale_um"), py::arg("pixel_um"), py::arg("mean"), py::arg("gauss"),
               py::arg("high"), py::arg("low"), py::arg("mean_sigma"), py::arg("gauss_sigma"),
               py::arg("stream"));
    module.def("height_derivatives", &height_derivatives_cuda, py::arg("height"), py::kw_only(),
               py::arg("family"), py::arg("scale_um"), py::arg("pixel_um"), py::arg("x"), py::arg("y"),
               py::arg("xx"), py::arg("xy"), py::arg("yy"), py::arg("stream"));
    module.def("curvature_window", &curvature_window, py::kw_only(), py::arg("family"), py::arg("scale_um"),
               py::arg("pixel_um"));
}
