"""What a score is worth: metrics, thresholds, calibration, intervals by resampling whole clusters, slices."""
