"""`alkit study 2d-vs-3d`: learning curves with intervals and a verdict."""
