"""`sluice doctor`: what is there, what is missing, and what to do about it."""

from sluice_cli.doctor.verb import add_to

__all__ = ["add_to"]
