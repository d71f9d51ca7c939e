"""The stages that make initial weights and pseudo captions for the full model (docs/initialization.md)."""
