"""All that lasts: tables, run and step transitions, assets, blobs, vectors, events."""
