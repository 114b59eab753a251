"""The same function as :mod:`mghft_export.model` at inference, exact and cheap: three branches."""
