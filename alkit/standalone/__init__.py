"""The work of `alkit train`, `predict`, `label`, `generate`, `export` and `import` without a campaign."""
