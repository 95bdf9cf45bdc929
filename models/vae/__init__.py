"""A variational auto-encoder of emoji pictures, 64 × 64, with a spatial latent."""
