"""A company's own solutions: what they declare, how they are asked, and what comes back of them."""
