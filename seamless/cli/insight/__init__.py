"""What the commands that look into a store share: which store, and how answers are printed."""
