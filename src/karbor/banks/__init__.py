"""Where checkpoints are kept: object stores with one small face, and the layout of what lies in them."""
