"""What a container image carries: its layers, the models in them, and what is stored more often than needed."""
