"""What the benchmarks measure: surfaces, scans and spots of known truth, rendered by two renderers."""
