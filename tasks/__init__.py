"""Single retryable steps: plain data in, a fact out. Each asks, compares and applies."""
