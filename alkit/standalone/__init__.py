"""What `alkit train`, `predict`, `label`, `generate`, `export` and `import` do without a campaign."""
