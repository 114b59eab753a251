"""Files of every format that is read become frames; docs/stickers.md has the rule that all follow, here and in C++."""
