"""The stages that initialise the full model (docs/initialization.md): sentences from concepts, images and noise."""
