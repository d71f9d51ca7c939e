"""What Show and Tell and Show, Attend and Tell share: settings, batches, objective, CIDEr-D, the trainer."""
