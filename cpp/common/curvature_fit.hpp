#pragma once

#include <cstddef>

#include "common/both.hpp"

// A polynomial in two variables fitted by least squares, from moments over the measured pixels. `T` is
// double, or a vector of doubles: one fit a lane.
namespace lee::curvature_fit {

/// Where the window of a pixel is centred: shifted until its centre is `inset` pixels from the border, or
/// over the whole image where that is smaller.
LEE_BOTH std::size_t centre(std::size_t at, std::size_t extent, std::size_t inset) {
    const bool fits = extent > 2 * inset;
    const std::size_t low = fits ? inset : (extent - 1) / 2;
    const std::size_t high = fits ? extent - 1 - inset : low;
    return at < low ? low : at > high ? high : at;
}

/// Powers of a distance in each tap.
constexpr std::size_t powers = 9;

/// Terms of total degree up to `order`, by rising power of s, then of t.
constexpr int terms(int order) {
    return (order + 1) * (order + 2) / 2;
}

/// Place of s^a t^b.
constexpr int term(int order, int a, int b) {
    return a * (order + 1) - a * (a - 1) / 2 + b;
}

template <int order>
struct Powers {
    int s[terms(order)];
    int t[terms(order)];

    constexpr Powers() : s{}, t{} {
        int k = 0;
        for (int a = 0; a <= order; ++a) {
            for (int b = 0; a + b <= order; ++b, ++k) {
                s[k] = a;
                t[k] = b;
            }
        }
    }
};

constexpr int packed(int i, int k) {
    return i * (i - 1) / 2 + k;
}

/// `yes` where the condition holds and `no` elsewhere: of numbers, and of each element of lanes.
template <class Condition, class T>
LEE_BOTH T select(const Condition& condition, const T& yes, const T& no) {
    return condition ? yes : no;
}

/// L D L^T of the normal matrix: L below its diagonal of ones, packed by rows, and 1 / D.
template <class T, int order>
struct Factor {
    T lower[terms(order) * (terms(order) - 1) / 2];
    T inverse[terms(order)];
    T worst;  ///< the least share of a diagonal element that is left as its pivot: 0 where there is no
              ///< solution
};

/// From the moments of the mask, s^a t^b with a + b <= 2 order.
template <class T, int order>
LEE_BOTH void factorise(const T* mask, Factor<T, order>& f) {
    constexpr Powers<order> of;
    constexpr int n = terms(order);
    f.worst = mask[0] - mask[0] + 1.0;
    for (int i = 0; i < n; ++i) {
        T row[terms(order)];
        for (int j = 0; j <= i; ++j) {
            T sum = mask[term(2 * order, of.s[i] + of.s[j], of.t[i] + of.t[j])];
            const T whole = sum;
            for (int k = 0; k < j; ++k)
                sum -= row[k] * (i == j ? f.lower[packed(i, k)] : f.lower[packed(j, k)]);
            if (j < i) {
                row[j] = sum;
                f.lower[packed(i, j)] = sum * f.inverse[j];
            } else {
                const T share = sum / whole;
                // Also where it is NaN: no pixel at all.
                f.worst = select(share > 1e-10, select(share < f.worst, share, f.worst), share - share);
                f.inverse[i] = 1.0 / sum;
            }
        }
    }
}

/// In place: v becomes L^-1 v.
template <class T, int order>
LEE_BOTH void forward(const Factor<T, order>& f, T* v) {
    for (int i = 1; i < terms(order); ++i) {
        T sum = v[i];
        for (int k = 0; k < i; ++k) sum -= f.lower[packed(i, k)] * v[k];
        v[i] = sum;
    }
}

/// In place: moments of the heights become the coefficients of the fit.
template <class T, int order>
LEE_BOTH void solve(const Factor<T, order>& f, T* v) {
    constexpr int n = terms(order);
    forward<T, order>(f, v);
    for (int i = 0; i < n; ++i) v[i] *= f.inverse[i];
    for (int i = n - 1; i > 0; --i) {
        for (int k = 0; k < i; ++k) v[k] -= f.lower[packed(i, k)] * v[i];
    }
}

/// The derivatives x, y, xx, xy, yy of s^a t^b at (s, t), in the unit of s.
template <class T>
struct Jet {
    T d[5];
};

template <class T, int order>
struct Place {
    T s[order + 1];  // powers
    T t[order + 1];
};

template <class T, int order>
LEE_BOTH Place<T, order> place(T s, T t) {
    Place<T, order> p;
    p.s[0] = s - s + 1.0;
    p.t[0] = p.s[0];
    for (int k = 1; k <= order; ++k) {
        p.s[k] = p.s[k - 1] * s;
        p.t[k] = p.t[k - 1] * t;
    }
    return p;
}

template <class T, int order>
LEE_BOTH Jet<T> jet(const Place<T, order>& p, int a, int b) {
    const T zero = p.s[0] - p.s[0];
    Jet<T> j;
    j.d[0] = a > 0 ? p.s[a - 1] * p.t[b] * static_cast<double>(a) : zero;
    j.d[1] = b > 0 ? p.s[a] * p.t[b - 1] * static_cast<double>(b) : zero;
    j.d[2] = a > 1 ? p.s[a - 2] * p.t[b] * static_cast<double>(a * (a - 1)) : zero;
    j.d[3] = a > 0 && b > 0 ? p.s[a - 1] * p.t[b - 1] * static_cast<double>(a * b) : zero;
    j.d[4] = b > 1 ? p.s[a] * p.t[b - 2] * static_cast<double>(b * (b - 1)) : zero;
    return j;
}

template <class T, int order>
LEE_BOTH Jet<T> evaluate(const T* coefficients, const Place<T, order>& p) {
    constexpr Powers<order> of;
    const T zero = p.s[0] - p.s[0];
    Jet<T> sum{{zero, zero, zero, zero, zero}};
    for (int k = 0; k < terms(order); ++k) {
        const Jet<T> j = jet<T, order>(p, of.s[k], of.t[k]);
        for (int i = 0; i < 5; ++i) sum.d[i] += coefficients[k] * j.d[i];
    }
    return sum;
}

/// Variance of the Laplacian at a place, for equal errors of 1.
template <class T, int order>
LEE_BOTH T laplacian_gain(const Factor<T, order>& f, const Place<T, order>& p) {
    constexpr Powers<order> of;
    T v[terms(order)];
    for (int k = 0; k < terms(order); ++k) {
        const Jet<T> j = jet<T, order>(p, of.s[k], of.t[k]);
        v[k] = j.d[2] + j.d[4];
    }
    forward<T, order>(f, v);
    T gain = p.s[0] - p.s[0];
    for (int k = 0; k < terms(order); ++k) gain += v[k] * v[k] * f.inverse[k];
    return gain;
}

/// The fit's own covariance holds for errors in proportion to its weights; heights have equal errors. These
/// factors on the derivatives make it exact in a complete window, and close elsewhere; all 1 where the
/// weights are alike too.
struct Excess {
    double first, mixed;   // of x and y, of xy
    double same, crossed;  // xx becomes same xx + crossed yy, and yy likewise
};

/// Covariances of the five derivatives at a place, for equal errors of 1: upper triangle by rows.
template <class T, int order>
LEE_BOTH void covariance(const Factor<T, order>& f, const Place<T, order>& p, const Excess& e, T* out) {
    constexpr Powers<order> of;
    T v[5][terms(order)];
    for (int k = 0; k < terms(order); ++k) {
        const Jet<T> j = jet<T, order>(p, of.s[k], of.t[k]);
        v[0][k] = j.d[0] * e.first;
        v[1][k] = j.d[1] * e.first;
        v[2][k] = j.d[2] * e.same + j.d[4] * e.crossed;
        v[3][k] = j.d[3] * e.mixed;
        v[4][k] = j.d[4] * e.same + j.d[2] * e.crossed;
    }
    for (int i = 0; i < 5; ++i) forward<T, order>(f, v[i]);
    for (int i = 0, at = 0; i < 5; ++i) {
        for (int j = i; j < 5; ++j, ++at) {
            T sum = p.s[0] - p.s[0];
            for (int k = 0; k < terms(order); ++k) sum += v[i][k] * v[j][k] * f.inverse[k];
            out[at] = sum;
        }
    }
}

}  // namespace lee::curvature_fit
