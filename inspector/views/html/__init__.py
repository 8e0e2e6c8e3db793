"""A report -> one HTML page, or one SVG picture, that needs nothing else. All text in it is escaped."""
