"""The one exception for what a user can put right."""


class InputError(ValueError):
    """Bad input. The message names the file, id or key and says what to do; `main.py` prints it without a traceback."""
