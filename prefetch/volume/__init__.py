"""What stands on the volume and how it gets there safely. Knows no HTTP."""
