"""Benchmarks: figures, not verdicts; ``make bench`` prints them beside those of others."""
