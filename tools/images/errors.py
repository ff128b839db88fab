"""What a user can do something about."""


class ImageError(Exception):
    """What went wrong, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message}\n→ {hint}" if hint else message)
