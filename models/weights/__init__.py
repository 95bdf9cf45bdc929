"""The shipped weights, float16 safetensors, and how they are written and read."""
