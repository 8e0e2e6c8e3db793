"""Physical memory, and what lives in it."""
