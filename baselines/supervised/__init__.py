"""Code shared by Show and Tell and Show, Attend and Tell: settings, batches, objective, CIDEr-D, trainer."""
