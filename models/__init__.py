"""The networks: a folder a family, each with net, train, sample and card."""
