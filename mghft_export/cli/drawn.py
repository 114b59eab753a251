"""Words for what a bootstrap draws."""

DRAWN = {"sticker": "stickers", "stem": "file stems", "topic": "topics"}
