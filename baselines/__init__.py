"""Other published captioning systems; they use the same data folders, vocabulary, training loop and evaluation."""
