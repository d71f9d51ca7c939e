"""The stages that the full model may start from (UIC spec 9): sentences from concept words, images and noise."""
