"""Everything a person sees: progress, tables, plots, the HTML report, MLflow."""
