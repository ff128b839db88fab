"""Container images: built, measured, listed, audited and released. Only the standard library until release."""
