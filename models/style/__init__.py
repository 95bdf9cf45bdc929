"""A company's own look: learned from some fifty of its pictures, laid over what the conditional GAN draws."""
