"""Code that Show and Tell and Show, Attend and Tell share: settings, batches, objective, CIDEr-D, trainer."""
