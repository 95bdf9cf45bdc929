"""A text-conditional GAN in the latent space of the VAE, started from the nearest known pictures."""
