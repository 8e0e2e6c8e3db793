"""Work for many processes or machines: surveys of many files, campaigns of random runs, swarms of searches."""
