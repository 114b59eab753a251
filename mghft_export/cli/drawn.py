"""What a bootstrap draws, for people."""

DRAWN = {"sticker": "stickers", "stem": "file stems", "topic": "topics"}
