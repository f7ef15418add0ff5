"""The harness of the benchmarks: `tests/bench/run`."""
