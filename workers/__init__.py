"""Claims steps, runs tools, saves what they made and moves the run on."""
