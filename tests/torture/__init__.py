"""Several writers on one volume, killed again and again: ``make torture``."""
