"""The monitor's results as metrics: it is a job that ends, and Prometheus asks only what lives."""
