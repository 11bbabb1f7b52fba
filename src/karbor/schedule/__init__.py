"""When work starts by itself: patterns of time, firings, and what is kept."""
