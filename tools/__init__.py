"""What a plan can call: a folder a tool, each with a light `spec.py` and a heavy `run.py`."""
