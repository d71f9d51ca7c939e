"""Other published systems on the same data folders, vocabulary, loop and evaluation."""
