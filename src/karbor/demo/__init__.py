"""An application to lose and get back: built, destroyed, described and compared through a cloud's public APIs alone."""
