"""The stages from raw photographs and raw text to records, one script each, and the modules they share."""
