"""AdapLeR: how its predictors and thresholds are trained."""
