"""Verifying an image: every byte of it lies in the bank, so every byte is read."""

from __future__ import annotations

from karbor.plugins.base import Context, Operation
from karbor.plugins.image.data import verify_data
from karbor.plugins.image.facts import ImageFacts
from karbor.plugins.image.protect import ARTIFACT


class VerifyImage(Operation):
    """Raises BankCorrupt naming what is missing or changed."""

    Saved = ImageFacts

    def on_main(self, ctx: Context) -> None:
        verify_data(ctx, ARTIFACT, ctx.saved.data)
