"""Other published systems, with the same data folders, vocabulary, training loop and evaluation."""
