"""What the benchmarks look at: surfaces, scans and spots of known truth, drawn by two renderers."""
