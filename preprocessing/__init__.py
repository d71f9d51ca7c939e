"""The stages from raw photographs and raw text to records, one command each, and the modules that they share."""
