"""Single retryable steps: plain data in, a result out. Each asks, compares and applies."""
