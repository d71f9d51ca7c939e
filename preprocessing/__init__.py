"""From raw photographs and raw text to records: one script per stage, and the modules they share."""
