"""What serves the studies and the benchmarks: their command line, training, measurements, results and problems."""
