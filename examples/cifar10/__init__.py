"""CIFAR-10: train, export and evaluate small Real-to-Binary nets."""
