"""Tuning: trying settings around the recipe's own, and keeping the best by the validation part."""
