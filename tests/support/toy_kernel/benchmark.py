"""Speed of the toy kernel beside NumPy."""

import numpy as np

import lee
from bench.timing import medians_ms


def main() -> None:
    height = np.zeros((512, 512), np.float32)
    ours, theirs = medians_ms(5, lambda: lee.toy_negation(height), lambda: np.negative(height))
    print(f"toy_negation {ours:.2f} ms, numpy {theirs:.2f} ms")


if __name__ == "__main__":
    main()
