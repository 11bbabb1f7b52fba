"""Contract suites that are shipped, so that a bank or plug-in written elsewhere is held to the same promises."""
